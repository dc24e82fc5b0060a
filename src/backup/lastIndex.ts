/**
 * Finds the last of many items that are ascending, or nearly so, by looking at few of them. Pure.
 */

/** Looked at together. */
const AT_ONCE = 16

/**
 * The last index of `count` at which `isUpTo` holds; -1 when there is none. Exact when all those at
 * which it holds come first. Where they do not, as with a clock that was set back, it is the last
 * of those that are seen: all of at most 16 items, and of more every sixteenth part.
 */
export async function lastIndex(
  count: number,
  isUpTo: (index: number) => Promise<boolean>,
): Promise<number> {
  let [from, to] = [0, count]
  while (from < to) {
    const step = Math.max(1, Math.ceil((to - from) / AT_ONCE))
    const places = Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step)
    const are = await Promise.all(places.map(isUpTo))
    const last = are.lastIndexOf(true)
    if (last < 0) return from - 1
    if (step === 1) return places[last]
    // It holds at `places[last]`, so what follows it is looked at next.
    to = Math.min(to, places[last] + step)
    from = places[last] + 1
  }
  return from - 1
}
