/** Flags of the commands that ask a node. */
import { hostname, userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { messageOf, WalcastError } from '../errors.ts'
import { parseValue } from '../options/optionValues.ts'
import { plainText } from '../plainText.ts'
import type { NamedNode } from './namedNode.ts'
import { nearestName } from './nearestName.ts'

const MAX_SHOWN_CHARS = 100

export const NODE_FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  node: { type: 'string' },
  db: { type: 'string' },
} as const

/** What the help says of the node that a command asks; `columns`: of the flags beside it. */
export function nodeHelp(columns: number): string {
  return [
    ['NODE', "the node's id, HOST:PORT or URL; --node NODE is the same [WALCAST_NODE]"],
    ['--db FILE', 'the node of FILE on this machine [WALCAST_DB, else the only one there]'],
  ]
    .map(([flag, text]) => `  ${flag.padEnd(columns)}   ${text}`)
    .join('\n')
}

export type FlagKinds = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>
type FlagValues<T extends FlagKinds> = {
  readonly [Flag in keyof T]?: (T[Flag]['type'] extends 'boolean' ? boolean : string) | undefined
}

/** Parses flags; refuses anything else. Throws USAGE. */
export function parseFlags<T extends FlagKinds>(
  args: readonly string[],
  options: T,
): FlagValues<T> {
  const { values, positionals } = parseAll(args, options)
  refuseExtra(positionals[0])
  return values
}

/**
 * The same for a command that asks one node, which may be named as NODE in place of --node. Throws
 * USAGE.
 */
export function parseForNode<T extends FlagKinds>(
  args: readonly string[],
  options: T & typeof NODE_FLAGS,
): { readonly values: FlagValues<T & typeof NODE_FLAGS>; readonly named: NamedNode } {
  const { values, positionals } = parseAll(args, options)
  const { node: flag, db }: FlagValues<typeof NODE_FLAGS> = values
  const [node, extra] = positionals
  if (node !== undefined && flag !== undefined)
    throw new WalcastError('USAGE', { detail: 'NODE and --node name two nodes: give one' })
  refuseExtra(extra)
  return { values, named: { node: node ?? flag, db } }
}

function refuseExtra(extra: string | undefined): void {
  if (extra === undefined) return
  throw new WalcastError('USAGE', {
    detail: `unexpected argument "${plainText(extra, MAX_SHOWN_CHARS)}"`,
  })
}

/**
 * Parses flags and the arguments between them. Refuses a flag that is given twice, since it was
 * probably meant for two things. Throws USAGE.
 */
export function parseAll<T extends FlagKinds>(
  args: readonly string[],
  options: T,
): { readonly values: FlagValues<T>; readonly positionals: readonly string[] } {
  try {
    const given = joinNegatives(args, options)
    const parsed = parseArgs({ args: given, options, allowPositionals: true, tokens: true })
    const names = parsed.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice) throw new WalcastError('USAGE', { detail: `--${twice} is given twice` })
    return { values: parsed.values as FlagValues<T>, positionals: parsed.positionals }
  } catch (error) {
    throw flagError(error, options)
  }
}

/**
 * Turns `--flag -1` into `--flag=-1`. A number below 0 is not a flag; whoever reads the value says
 * what it wants instead.
 */
export function joinNegatives(args: readonly string[], options: FlagKinds): string[] {
  const joined: string[] = []
  for (let at = 0; at < args.length; at++) {
    const [arg, next] = [args[at], args[at + 1]]
    const isText = arg.startsWith('--') && options[arg.slice(2)]?.type === 'string'
    if (arg === '--') return [...joined, ...args.slice(at)]
    if (isText && next !== undefined && /^-\.?\d/.test(next)) joined.push(`${arg}=${args[++at]}`)
    else joined.push(arg)
  }
  return joined
}

/** Turns what `parseArgs` throws into USAGE, with the flag that was probably meant. */
export function flagError(error: unknown, options: FlagKinds): WalcastError {
  if (error instanceof WalcastError) return error
  const [detail] = messageOf(error).split('. ')
  const unvalued = /^Option '(--[^' ]+)[^']*' argument (?:is ambiguous|missing)/.exec(detail)?.[1]
  if (unvalued) return new WalcastError('USAGE', { detail: `${unvalued} wants a value` }, error)
  const flag = /^Unknown option '--([^']+)'/.exec(detail)?.[1]
  const nearest = flag && nearestName(flag, Object.keys(options))
  const hint = nearest ? ` (did you mean --${nearest}?)` : ''
  const text = `${detail.slice(0, 1).toLowerCase()}${detail.slice(1)}${hint}`
  return new WalcastError('USAGE', { detail: text }, error)
}

/** A time such as 30s in milliseconds, or undefined when none is given. Throws USAGE. */
export function durationOf(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(parseValue(flag, 'duration', text))
}

/** Who runs the command, as `user@host`, for the node's audit log. */
export function operator(): string {
  return `${userName()}@${hostname()}`
}

/** In a container the user may have an id and no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`
  }
}
