/** The points of a history of lag as charts, marks and tables need them. Pure. */
import type { AuditEntry } from '../../api/audit.ts'
import type { LagHistoryAnswer, LagPoint } from '../../api/lagHistory.ts'
import { type CauseSpan, causeSpans, isGap } from '../../api/lagSpans.ts'
import type { ChartData } from './chartData.ts'
import type { Window } from './lagView.ts'

export interface ShownHistory {
  readonly window: Window
  readonly points: readonly LagPoint[]
  readonly pointSeconds: number
  readonly events: readonly AuditEntry[]
  readonly causes: readonly CauseSpan[]
}

/** `measured`: newer points that came since; `audit`: newer entries, among others. */
export function shownHistory(
  { points, pointSeconds, events }: LagHistoryAnswer,
  measured: readonly LagPoint[],
  audit: readonly AuditEntry[],
  window: Window,
): ShownHistory {
  const all = withNewer(points, measured)
  const shown = all.filter(({ to }) => isWithin(to, window))
  const last = events.at(-1)?.at ?? ''
  const newer = audit.filter(({ at }) => at > last)
  return {
    window,
    points: shown,
    pointSeconds,
    events: [...events, ...newer].filter(({ at }) => isWithin(at, window)),
    causes: causeSpans(shown, pointSeconds),
  }
}

/** A point that came again, longer than before, takes the place of the older one. */
export function withNewer(
  points: readonly LagPoint[],
  newer: readonly LagPoint[],
): readonly LagPoint[] {
  const [first] = newer
  if (!first) return points
  return [...points.filter(({ from, to }) => from < first.from && to <= first.from), ...newer]
}

/** Times and the values of each line, with a hole where nothing was measured. */
export function chartDataOf(
  { points, pointSeconds }: Pick<ShownHistory, 'points' | 'pointSeconds'>,
  reads: readonly ((point: LagPoint) => number | null)[],
): ChartData {
  const times: number[] = []
  const lines: (number | null)[][] = reads.map(() => [])
  for (const [i, point] of points.entries()) {
    const before = points[i - 1]
    if (before && isGap(before, point, pointSeconds)) {
      times.push((Date.parse(before.to) + Date.parse(point.from)) / 2000)
      for (const line of lines) line.push(null)
    }
    times.push(Date.parse(point.to) / 1000)
    for (const [n, read] of reads.entries()) lines[n].push(read(point))
  }
  return [times, ...lines]
}

/**
 * The point at a time that `chartDataOf` gave, even when it has grown since; undefined in a hole.
 */
export function pointAtTime(points: readonly LagPoint[], seconds: number): LagPoint | undefined {
  const atMs = Math.round(seconds * 1000)
  return points.find(({ from, to }) => Date.parse(from) < atMs && atMs <= Date.parse(to))
}

function isWithin(at: string, { fromMs, toMs }: Window): boolean {
  const ms = Date.parse(at)
  return ms > fromMs && ms <= toMs
}
