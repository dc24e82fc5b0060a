/** What the charts of lag draw of the points that came once a second. Pure. */
import type { ChartData } from './chartData.ts'
import type { LagPoint } from './state.ts'

/** A pause between two points that is no second: the page or the node was away. */
const GAP_MS = 5000

/** With a hole where nothing came, so that no line is drawn over it. */
export function lagSeries(points: readonly LagPoint[]): ChartData {
  const [times, values]: [number[], (number | null)[]] = [[], []]
  for (const [i, point] of points.entries()) {
    const last = i > 0 ? points[i - 1] : undefined
    const isGap = last !== undefined && point.atMs - last.atMs > GAP_MS
    if (isGap) {
      times.push((last.atMs + 1) / 1000)
      values.push(null)
    }
    times.push(point.atMs / 1000)
    values.push(point.lagMs)
  }
  return [times, values]
}
