/** How far a piece of work is, and its texts for logs, terminals and programs. Pure. */
import { rateText, sizeText } from '../health/causeText.ts'
import { cutMiddle, displayWidth } from './displayWidth.ts'

export type ProgressUnit = 'bytes' | 'rows'

export interface Progress {
  /** What goes on, as it stands before the numbers. Another phase counts from its own start. */
  readonly phase: string
  /** In `unit`: 0 to `total`. */
  readonly done: number
  /** Undefined where nobody knows it: then there is no percent and no time left. */
  readonly total: number | undefined
  readonly unit: ProgressUnit
}

export interface Pace {
  /** Units a second over the last seconds; undefined while nothing moves, or with one look. */
  readonly perSecond: number | undefined
  /** Whole seconds, rounded up. */
  readonly secondsLeft: number | undefined
}

/** The rate is that of the last so many ms, or of a longer time between two looks. */
const WINDOW_MS = 10_000
/** Bars that a line may have, in columns: one of few lengths, so that it does not jump. */
const BARS = [30, 20, 10] as const

interface Point {
  readonly atMs: number
  readonly done: number
}

/** How fast one phase goes. It remembers the looks of the last seconds only. */
export class PaceMeter {
  #points: Point[] = []

  next({ done, total }: Pick<Progress, 'done' | 'total'>, atMs: number): Pace {
    this.#points.push({ atMs, done })
    const firstInside = this.#points.findIndex((point) => point.atMs >= atMs - WINDOW_MS)
    // The one before the window tells what was done at its start.
    const first = this.#points[Math.max(0, firstInside - 1)]
    this.#points = this.#points.slice(Math.max(0, firstInside - 1))
    const seconds = (atMs - first.atMs) / 1000
    if (seconds <= 0 || done <= first.done) return { perSecond: undefined, secondsLeft: undefined }
    const perSecond = (done - first.done) / seconds
    const left = total === undefined ? undefined : Math.ceil(Math.max(0, total - done) / perSecond)
    return { perSecond, secondsLeft: left }
  }
}

/** One line for a log: `restoring: 20 %, 20.0 MiB of 100.0 MiB, 20.0 MiB/s, 4 s left`. */
export function progressText(progress: Progress, pace: Pace): string {
  const told = [percentText(progress), doneText(progress), paceText(progress, pace), leftText(pace)]
  return `${progress.phase}: ${joined(told)}`
}

/** The same for a terminal, with a bar where there is room: at most `columns` wide. */
export function progressBar(progress: Progress, pace: Pace, columns: number): string {
  const { phase } = progress
  const percent = percentText(progress, 3)
  const [done, rate, left] = [doneText(progress), paceText(progress, pace), leftText(pace)]
  const told = [
    [percent, done, rate, left],
    [percent, rate, left],
  ]
  for (const words of percent === undefined ? [] : told)
    for (const cells of BARS) {
      const line = `${phase} [${bar(progress, cells)}] ${joined(words)}`
      if (displayWidth(line) <= columns) return line
    }
  const plain = [...told, [percent ?? done, left], [percent ?? done]].map(
    (words) => `${phase}: ${joined(words).trimStart()}`,
  )
  return plain.find((line) => displayWidth(line) <= columns) ?? cutMiddle(plain[3], columns)
}

/** One object for a program: numbers as they are, null for what nobody knows. */
export function progressJson({ phase, unit, done, total }: Progress, pace: Pace): object {
  const { perSecond, secondsLeft } = pace
  return {
    ...{ event: 'progress', phase, unit, done, total: total ?? null },
    perSecond: perSecond === undefined ? null : Math.round(perSecond),
    secondsLeft: secondsLeft ?? null,
  }
}

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join(', ')
}

/** From 0 to 1. */
function share(done: number, total: number): number {
  return total > 0 ? Math.min(1, done / total) : 1
}

function percentText({ done, total }: Progress, columns = 0): string | undefined {
  if (total === undefined) return undefined
  return `${String(Math.floor(100 * share(done, total))).padStart(columns)} %`
}

function doneText({ done, total, unit }: Progress): string {
  if (unit === 'bytes')
    return total === undefined ? sizeText(done) : `${sizeText(done)} of ${sizeText(total)}`
  return total === undefined ? `${done} ${unit}` : `${done} of ${total} ${unit}`
}

function paceText({ unit }: Progress, { perSecond }: Pace): string | undefined {
  if (perSecond === undefined) return undefined
  if (unit === 'bytes') return rateText(perSecond)
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} ${unit}/s`
}

function leftText({ secondsLeft }: Pace): string | undefined {
  return secondsLeft === undefined ? undefined : `${timeText(secondsLeft)} left`
}

function bar({ done, total = 0 }: Progress, cells: number): string {
  return '#'.repeat(Math.floor(share(done, total) * cells)).padEnd(cells, '.')
}

function timeText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`
}
