/** Measures that need several looks in a row. */

/** How long something has been true at each look. */
export class Streak {
  #sinceMs: number | undefined

  /**
   * Takes in one look. Gives the time since the first look of the row at which it was true; 0 when
   * it is not true now.
   */
  look(isTrue: boolean, nowMs: number): number {
    if (!isTrue) this.#sinceMs = undefined
    else this.#sinceMs ??= nowMs
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs
  }
}

/** A shorter silence is usual on every link: its ends talk to each other once a second. */
const USUAL_SILENCE_MS = 1500
/** How much of an old silence counts after one more look. */
const FADING = 0.97

/**
 * Tells a link that is down from a slow one, on which a large message is under way for long. A link
 * that spoke again after such a silence is not down at the next one.
 */
export class Silence {
  #lastMs = 0
  #usualMs = USUAL_SILENCE_MS

  /**
   * Takes in one look. Gives how long the link has been silent when that is at least twice as long
   * as usual; else 0.
   */
  look(silentMs: number): number {
    const hasSpoken = silentMs < this.#lastMs
    this.#usualMs = Math.max(USUAL_SILENCE_MS, FADING * this.#usualMs, hasSpoken ? this.#lastMs : 0)
    this.#lastMs = silentMs
    return silentMs >= 2 * this.#usualMs ? silentMs : 0
  }
}

/** How many looks a rate is taken over. */
const LOOKS = 6

/** Growth per second of a total, over the last few looks. */
export class Rate {
  readonly #looks: { readonly atMs: number; readonly total: number }[] = []

  look(total: number, nowMs: number): number {
    const last = this.#looks.at(-1)
    // The counter began again with a new connection.
    if (last && total < last.total) this.#looks.length = 0
    this.#looks.push({ atMs: nowMs, total })
    if (this.#looks.length > LOOKS) this.#looks.shift()
    const [first] = this.#looks
    return nowMs > first.atMs ? ((total - first.total) * 1000) / (nowMs - first.atMs) : 0
  }
}
