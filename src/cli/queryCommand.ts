/** Commands that ask a node one question, and how answers are laid out. */
import { sizeText } from '../health/causeText.ts'
import { UNSEEN } from '../plainText.ts'
import { NODE_FLAGS, parseForNode } from './commandArguments.ts'
import { displayWidth, padded } from './displayWidth.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { getJson } from './nodeClient.ts'
import type { Shape } from './shape.ts'
import { shown } from './table.ts'
import { brokenText, FULL_LOOK, type Look } from './terminalLook.ts'
import { showAnswers, WATCH_FLAGS } from './watch.ts'

export interface QueryCommand<T> {
  /** As it is called. */
  readonly name: string
  readonly path: string
  readonly help: string
  /** What the answer has to look like. */
  readonly shape: Shape
  format(answer: T, look: Look): string
}

export async function look<T>(command: QueryCommand<T>, args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, { ...NODE_FLAGS, ...WATCH_FLAGS })
  if (values.help) {
    showHelp(command.help)
    return 0
  }
  const node = await namedNode(named, process.env)
  await showAnswers<T>(
    {
      title: `walcast ${command.name}`,
      ask: () => getJson<T>(node, command.path, process.env, command.shape),
      format: command.format,
      json: jsonLine,
    },
    values,
  )
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
export function lines(
  pairs: readonly (readonly [string, string])[],
  look: Look = FULL_LOOK,
): string {
  const width = Math.max(...pairs.map(([label]) => displayWidth(label)))
  return pairs
    .map(([label, value]) => {
      const text = brokenText(shown(value), width + 2, look)
      return `${padded(label, width)}  ${text}\n`
    })
    .join('')
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

export { shown, sizeText as formatBytes }
