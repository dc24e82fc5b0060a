/**
 * Tables for people. A table that is too wide is cut in its widest columns, each cell in its
 * middle, since ids, paths and addresses differ at both ends.
 */
import { UNSEEN } from '../plainText.ts'
import { cutMiddle, displayWidth, padded } from './displayWidth.ts'
import { coloured, type Look, type Mood } from './terminalLook.ts'

export interface Column {
  readonly heading: string
  /** Numbers stand at the right. */
  readonly isNumber?: boolean
  /** Columns below which it is not cut, while others are wider than theirs. */
  readonly least?: number
}

/** With a mood it has a colour where there are any. */
export type Cell = string | { readonly text: string; readonly mood: Mood | undefined }

const GAP = '  '
/** What is left of an id can still be told from others. */
const USUAL_LEAST = 9

/** Aligned columns with a heading. A column of which only the heading is known is one of words. */
export function table(
  columns: readonly (string | Column)[],
  rows: readonly (readonly Cell[])[],
  look: Look,
): string {
  const all = columns.map((each): Column => (typeof each === 'string' ? { heading: each } : each))
  const texts = [
    all.map(({ heading }) => shown(heading)),
    ...rows.map((row) => row.map((cell) => shown(textOf(cell)))),
  ]
  const widths = fitted(
    all.map((_, at) => Math.max(...texts.map((row) => displayWidth(row[at] ?? '')))),
    all.map(({ least = USUAL_LEAST }) => least),
    look.columns - GAP.length * (all.length - 1),
  )
  return texts
    .map((row, number) => {
      const cells = number === 0 ? [] : rows[number - 1]
      return `${line(row, cells, all, widths, look)}\n`
    })
    .join('')
}

function line(
  texts: readonly string[],
  cells: readonly Cell[],
  columns: readonly Column[],
  widths: readonly number[],
  look: Look,
): string {
  const parts = texts.map((text, at) => {
    const cut = cutMiddle(text, widths[at])
    const cell = cells[at]
    const mood = typeof cell === 'object' ? cell.mood : undefined
    return { cut, mood, whole: padded(cut, widths[at], columns[at].isNumber) }
  })
  // Spaces at the end of a line would wrap in a narrower terminal.
  const last = parts.findLastIndex(({ cut }) => cut !== '')
  const there = parts.slice(0, last + 1).map(({ cut, mood, whole }, at) => {
    const text = at === last ? whole.trimEnd() : whole
    return mood ? text.replace(cut, () => coloured(cut, mood, look)) : text
  })
  // More columns than a terminal this narrow has room for.
  const plain = displayWidth(
    parts
      .map(({ whole }) => whole)
      .join(GAP)
      .trimEnd(),
  )
  if (plain > look.columns) return cutMiddle(parts.map(({ cut }) => cut).join(' '), look.columns)
  return there.join(GAP)
}

/** Widths that together take at most `room`, if that is possible; all whole when they fit. */
function fitted(natural: readonly number[], least: readonly number[], room: number): number[] {
  const sum = (widths: readonly number[]) => widths.reduce((all, each) => all + each, 0)
  if (sum(natural) <= room) return [...natural]
  const floor = natural.map((width, at) => Math.min(width, least[at]))
  // Where not even the least fits, all columns shrink alike.
  const bounds = sum(floor) <= room ? floor : natural.map((width) => Math.min(width, 1))
  const widths = [...natural]
  let over = sum(widths) - room
  while (over > 0) {
    const widest = indexOfWidest(widths, bounds)
    if (widest < 0) break
    widths[widest]--
    over--
  }
  return widths
}

/** -1 when none may shrink. */
function indexOfWidest(widths: readonly number[], bounds: readonly number[]): number {
  let widest = -1
  for (const [at, width] of widths.entries())
    if (width > bounds[at] && (widest < 0 || width >= widths[widest])) widest = at
  return widest
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

/** Text of others without control and format characters, which could steer the terminal. */
export function shown(text: string): string {
  return text.replace(UNSEEN, '\u{fffd}')
}
