/** Commands that ask a node one question, and how answers are laid out. */
import { sizeText } from '../health/causeText.ts'
import { UNSEEN } from '../plainText.ts'
import { NODE_FLAGS, parseForNode } from './commandArguments.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import type { Shape } from './shape.ts'

export interface QueryCommand<T> {
  readonly path: string
  readonly help: string
  /** What the answer has to look like. */
  readonly shape: Shape
  format(answer: T): string
}

export async function look<T>(command: QueryCommand<T>, args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, NODE_FLAGS)
  if (values.help) {
    process.stdout.write(command.help)
    return 0
  }
  const node = await namedNode(named, process.env)
  const answer = await getJson<T>(node, command.path, process.env, command.shape)
  process.stdout.write(values.json ? jsonLine(answer) : command.format(answer))
  return 0
}

/**
 * The databases in an answer by name, when there are several. The fields of an only one stand at
 * the top of the answer.
 */
export function severalDatabases<Database>(answer: {
  readonly databases?: Readonly<Record<string, Database>>
}): readonly (readonly [string, Database])[] {
  const databases = Object.entries(answer.databases ?? {})
  return databases.length > 1 ? databases : []
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

/** Text of others without control and format characters, which could steer the terminal. */
export function shown(text: string): string {
  return text.replace(UNSEEN, '\u{fffd}')
}

/**
 * An answer as one line of JSON for a program, which a terminal may get instead: characters that
 * could steer it are escaped.
 */
export function jsonLine(answer: unknown): string {
  return `${JSON.stringify(answer).replace(UNSEEN, escaped)}\n`
}

function escaped(text: string): string {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}

export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`
  if (ms < 1000) return `${ms.toFixed(0)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

export { sizeText as formatBytes }
