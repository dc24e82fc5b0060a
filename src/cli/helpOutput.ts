/**
 * Help on standard output. It is written for 100 columns; a narrower terminal gets the lines broken
 * anew where they are too long, so that no word is cut in two.
 */
import { displayWidth, wrapped } from './displayWidth.ts'
import { lookOf } from './terminalLook.ts'

/** Columns that the text beside an option gets at least. */
const LEAST = 20
/** A term, such as an option with its value, and its text behind two spaces or more. */
const TERM = /^ {2,}\S(?:\S| (?! ))* {2,}(?=\S)/

export function showHelp(text: string): void {
  process.stdout.write(fittedHelp(text, lookOf(process.stdout, process.env).textColumns))
}

/** Paragraphs and texts of terms that have too long a line are broken anew; others stay. */
export function fittedHelp(text: string, columns: number): string {
  return partsOf(text.split('\n'))
    .flatMap((part) =>
      part.some((line) => displayWidth(line) > columns) ? broken(part, columns) : part,
    )
    .join('\n')
}

/** Lines that belong together: a paragraph, or a term with the lines of its text. */
function partsOf(lines: readonly string[]): string[][] {
  const parts: string[][] = []
  for (const line of lines) {
    const part = parts[parts.length - 1]
    if (part && continues(part, line)) part.push(line)
    else parts.push([line])
  }
  return parts
}

function continues(part: readonly string[], line: string): boolean {
  const [first] = part
  if (first === '' || line === '' || line.startsWith('walcast ')) return false
  const indent = indentOf(line)
  const start = startOfText(first)
  if (start === undefined)
    return indent === 0 && indentOf(first) === 0 && !first.startsWith('walcast ')
  // Where the term is long, its text begins right of the others.
  return indent > indentOf(first) && indent <= start && TERM.exec(line) === null
}

function broken(part: readonly string[], columns: number): string[] {
  const [first, ...more] = part
  const start = startOfText(first) ?? indentOf(first)
  const hang = Math.min(more.length > 0 ? indentOf(more[0]) : start, Math.max(0, columns - LEAST))
  const words = part.map((line, i) => (i === 0 ? line.slice(start) : line).trim()).join(' ')
  const head = first.slice(0, start)
  // The first line may begin further right than the others.
  const lead = Math.max(0, head.length - hang)
  const text = `${'-'.repeat(lead)}${words.replaceAll(/ {2,}/g, ' ')}`
  const lines = wrapped(text, Math.max(1, columns - hang))
  return lines.map((line, i) =>
    i === 0 ? `${head}${line.slice(lead)}` : `${' '.repeat(hang)}${line}`,
  )
}

function startOfText(line: string): number | undefined {
  return TERM.exec(line)?.[0].length
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}
