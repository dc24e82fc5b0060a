/** What the points of a history of lag say of longer times: gaps, and how long a cause lasted. */
import type { CauseCode } from './cause.ts'
import type { LagPoint } from './lagHistory.ts'

export interface CauseSpan {
  readonly code: CauseCode
  readonly fromMs: number
  readonly toMs: number
}

/** A restart takes less, and is an event of its own. */
const LEAST_GAP_MS = 5000

/** Whether nothing was measured between two points for long enough to be told. */
export function isGap(
  before: Pick<LagPoint, 'to'>,
  next: Pick<LagPoint, 'from'>,
  pointSeconds: number,
): boolean {
  const gapMs = Date.parse(next.from) - Date.parse(before.to)
  return gapMs > Math.max(LEAST_GAP_MS, pointSeconds * 500)
}

/** Each cause from the first point that names it to the last one after it without a break. */
export function causeSpans(points: readonly LagPoint[], pointSeconds: number): CauseSpan[] {
  const spans: CauseSpan[] = []
  const open = new Map<CauseCode, CauseSpan>()
  for (const [i, point] of points.entries()) {
    const isCut = i > 0 && isGap(points[i - 1], point, pointSeconds)
    for (const [code, span] of open)
      if (isCut || !point.causes.includes(code)) {
        spans.push(span)
        open.delete(code)
      }
    for (const code of point.causes) {
      const fromMs = open.get(code)?.fromMs ?? Date.parse(point.from)
      open.set(code, { code, fromMs, toMs: Date.parse(point.to) })
    }
  }
  return [...spans, ...open.values()].sort((a, b) => a.fromMs - b.fromMs)
}
