/** What the charts of lag draw of the points that came once a second. Pure. */
import type { ChartData } from './chartData.ts'
import type { LagPoint } from './state.ts'

/** A pause between two points that is no second: the page or the node was away. */
const GAP_MS = 5000

export function lagSeries(points: readonly LagPoint[]): ChartData {
  return seriesOf(points, ({ lagMs }) => lagMs)
}

export function walSeries(points: readonly LagPoint[]): ChartData {
  return seriesOf(points, ({ walBytes }) => walBytes)
}

/** Transactions a second, between a point and the one before it. */
export function rateSeries(points: readonly LagPoint[]): ChartData {
  return seriesOf(points, ({ atMs, txid }, before) => {
    if (!before || atMs <= before.atMs) return null
    return Math.max(0, ((txid - before.txid) * 1000) / (atMs - before.atMs))
  })
}

/** With a hole where nothing came, so that no line is drawn over it. */
function seriesOf(
  points: readonly LagPoint[],
  read: (point: LagPoint, before: LagPoint | undefined) => number | null,
): ChartData {
  const [times, values]: [number[], (number | null)[]] = [[], []]
  for (const [i, point] of points.entries()) {
    const last = i > 0 ? points[i - 1] : undefined
    const isGap = last !== undefined && point.atMs - last.atMs > GAP_MS
    if (isGap) {
      times.push((last.atMs + 1) / 1000)
      values.push(null)
    }
    times.push(point.atMs / 1000)
    values.push(read(point, isGap ? undefined : last))
  }
  return [times, values]
}
