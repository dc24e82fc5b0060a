/** How output for people looks: its width, whether it has colours, and how it tells times. */
import { ageText } from '../health/causeText.ts'
import { wallMs } from '../platform/time.ts'
import { wrapped } from './displayWidth.ts'

export interface Look {
  /** Columns that a table may take; infinite: it cuts nothing. */
  readonly columns: number
  /** Full values in place of relative times, and more columns. */
  readonly isWide: boolean
  readonly hasColours: boolean
  /** Columns at which long lines of text are broken; infinite where a program may read them. */
  readonly textColumns: number
  /** Now, by the clock of the machine that shows it. */
  readonly nowMs: number
}

/** What a word says of a state. The word is always there: the colour says nothing more. */
export type Mood = 'good' | 'busy' | 'bad'

type Output = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>

const USUAL_COLUMNS = 80
const LEAST_COLUMNS = 20
const MAX_COLUMNS = 1000
const COLOURS: Readonly<Record<Mood, string>> = { good: '32', busy: '33', bad: '31' }

/** Nothing is cut, and times are those of the answer. */
export const FULL_LOOK: Look = {
  columns: Number.POSITIVE_INFINITY,
  textColumns: Number.POSITIVE_INFINITY,
  isWide: true,
  hasColours: false,
  nowMs: 0,
}

/**
 * A terminal gives its width; elsewhere it is COLUMNS, or 80. NO_COLOR takes colours away, and
 * FORCE_COLOR adds them where there is no terminal.
 */
export function lookOf(output: Output, environment: NodeJS.ProcessEnv, isWide = false): Look {
  const columns = columnsOf(output, environment)
  return {
    columns: isWide ? Number.POSITIVE_INFINITY : columns,
    textColumns: output.isTTY && !isWide ? columns : Number.POSITIVE_INFINITY,
    isWide,
    hasColours: hasColours(output, environment),
    nowMs: wallMs(),
  }
}

function columnsOf({ isTTY, columns }: Output, environment: NodeJS.ProcessEnv): number {
  // A terminal that does not know its size says 0.
  if (isTTY && columns > 0) return columns
  const text = environment['COLUMNS'] ?? ''
  const given = /^\d{1,4}$/.test(text) ? Number(text) : USUAL_COLUMNS
  return Math.min(MAX_COLUMNS, Math.max(LEAST_COLUMNS, given))
}

function hasColours({ isTTY }: Output, environment: NodeJS.ProcessEnv): boolean {
  // An empty NO_COLOR counts as not set: https://no-color.org
  if (environment['NO_COLOR'] || environment['TERM'] === 'dumb') return false
  const forced = environment['FORCE_COLOR'] ?? ''
  return forced === '' ? isTTY === true : forced !== '0'
}

export function coloured(text: string, mood: Mood | undefined, { hasColours }: Look): string {
  return mood && hasColours ? `\x1b[${COLOURS[mood]}m${text}\x1b[39m` : text
}

/** `3 s ago`, `in 2 h`; the time itself where values are full, and for what is no time. */
export function timeText(iso: string, { isWide, nowMs }: Look): string {
  const atMs = Date.parse(iso)
  if (isWide || !Number.isFinite(atMs)) return iso
  return agoText(nowMs - atMs)
}

/** `ms`: how long ago; less than 0 in the future. */
export function agoText(ms: number): string {
  return ms > -1000 ? `${ageText(Math.max(0, ms))} ago` : `in ${ageText(-ms)}`
}

/** A line of text, broken where it is too long. `indent`: columns before all further lines. */
export function brokenText(text: string, indent: number, { textColumns }: Look): string {
  const width = Math.max(LEAST_COLUMNS, textColumns - indent)
  return Number.isFinite(width) ? wrapped(text, width).join(`\n${' '.repeat(indent)}`) : text
}
