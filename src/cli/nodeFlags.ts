/** The flags of a node. Every mistake in them is told at once, and the others are read past it. */
import { parseArgs } from 'node:util'
import { NODE_OPTIONS } from '../options/options.ts'
import { type FlagKinds, flagError, joinNegatives } from './commandArguments.ts'
import { LOG_OPTIONS } from './logOptions.ts'
import type { Flags } from './optionSources.ts'

export interface ReadFlags {
  readonly flags: Flags
  /** One text for each mistake. */
  readonly problems: readonly string[]
}

export function readFlags(args: readonly string[]): ReadFlags {
  const options = flagKinds()
  const problems: string[] = []
  let rest = joinNegatives(args, options)
  for (;;)
    try {
      const { values } = parseArgs({ args: rest, options, allowPositionals: false })
      return { flags: values as Flags, problems }
    } catch (error) {
      problems.push(flagError(error, options).message)
      const next = pastMistake(rest, options)
      // What cannot be told apart ends the reading.
      if (next.length === rest.length) return { flags: {}, problems }
      rest = next
    }
}

function flagKinds(): FlagKinds {
  const kindOf = (kind: string) => ({ type: kind === 'flag' ? 'boolean' : 'string' }) as const
  return Object.fromEntries([
    ['config', kindOf('path')],
    ['print-config', kindOf('flag')],
    ...LOG_OPTIONS.map(({ flag }) => [flag, kindOf('text')]),
    ...NODE_OPTIONS.map(({ flag, kind }) => [flag, kindOf(kind)]),
  ])
}

/** Without the first argument that is wrong, and without the value of an unknown flag. */
function pastMistake(args: readonly string[], options: FlagKinds): string[] {
  const config = { args: [...args], options, strict: false, allowPositionals: true } as const
  const { tokens } = parseArgs({ ...config, tokens: true })
  const at = tokens.findIndex((token) => {
    if (token.kind !== 'option') return token.kind === 'positional'
    const type = options[token.name]?.type
    if (type === undefined) return true
    const isDash = token.inlineValue !== true && String(token.value ?? '').startsWith('-')
    return type === 'string' ? token.value === undefined || isDash : token.value !== undefined
  })
  const [wrong, after] = [tokens[at], tokens[at + 1]]
  if (!wrong) return [...args]
  const isUnknown = wrong.kind === 'option' && options[wrong.name] === undefined
  const hasValue = isUnknown && wrong.inlineValue !== true && after?.kind === 'positional'
  return args.filter((_, i) => i !== wrong.index && !(hasValue && i === after.index))
}
