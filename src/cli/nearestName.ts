/** Finds the known name that is closest to a mistyped one. */

/** Two names are alike with at most one change for so many characters. */
const CHARS_PER_CHANGE = 3

/** The known name with the fewest changes, or undefined when none is alike. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Math.floor(name.length / CHARS_PER_CHANGE) + 1
  for (const each of known) {
    const changes = editDistance(name, each, least)
    if (changes < least) [nearest, least] = [each, changes]
  }
  return nearest
}

/**
 * How many characters to insert, delete, replace or exchange with their neighbour to turn one text
 * into the other (optimal string alignment). A distance above `limit` is returned as `limit`.
 */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      row[j] = Math.min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (isSame ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j], before[j - 2] + 1)
    }
    before = last
    last = row
  }
  return Math.min(limit, last[b.length])
}
