/** What a chart draws, and when that looks different. Pure. */

/** Seconds since 1970, then the values of each line; null: none. */
export type ChartData = readonly [readonly number[], ...(readonly (number | null)[])[]]

/** A time that moves by less than this part of a window stays on its pixel. */
const STEPS = 500

/**
 * A text that changes when what is drawn looks different. `window`: from and to, ms since 1970; all
 * of the data unless given. `marks`: ms since 1970.
 */
export function lookOf(
  [times, ...lines]: ChartData,
  window: readonly [number, number] | undefined,
  marks: readonly number[],
): string {
  const stepMs = window ? (window[1] - window[0]) / STEPS : 1
  const placed = (all: readonly number[]) => all.map((ms) => Math.round(ms / stepMs))
  const at = placed(times.map((seconds) => seconds * 1000))
  return JSON.stringify([stepMs, placed(window ?? []), at, lines, placed(marks)])
}
