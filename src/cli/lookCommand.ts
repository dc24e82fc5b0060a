/** What `status` and `lag` share: --node URL, --json, --help. */
import { parseArgs } from 'node:util'
import { messageOf, WalcastError } from '../errors.ts'
import { sizeText } from '../node/causeText.ts'
import { getJson } from './nodeClient.ts'

export interface LookCommand<T> {
  readonly path: string
  readonly help: string
  format(answer: T): string
}

export async function look<T>(command: LookCommand<T>, args: readonly string[]): Promise<number> {
  const { help, json, node } = parse(args)
  if (help) {
    process.stdout.write(command.help)
    return 0
  }
  const answer = await getJson<T>(
    node ?? process.env['WALCAST_NODE'] ?? '127.0.0.1:8470',
    command.path,
    process.env,
  )
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : command.format(answer))
  return 0
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { help: { type: 'boolean' }, json: { type: 'boolean' }, node: { type: 'string' } },
    }).values
  } catch (error) {
    throw new WalcastError('USAGE', { detail: messageOf(error).split('. ')[0] }, error)
  }
}

/** Aligned `label value` lines. */
export function lines(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([label]) => label.length))
  return pairs.map(([label, value]) => `${label.padEnd(width)}  ${shown(value)}\n`).join('')
}

/** Aligned columns with a heading. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows].map((row) => row.map(shown))
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column].length)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** What others have named must not steer this terminal. */
export function shown(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{fffd}')
}

export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`
  if (ms < 1000) return `${ms.toFixed(0)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

export { sizeText as formatBytes }
