/** What several looks in a row tell that one does not. */

/** How long something has been so at each look. */
export class Streak {
  #sinceMs: number | undefined

  /**
   * Takes in one look. Gives the time since the first of the looks in a row at which it was so, 0
   * when it is not.
   */
  look(isSo: boolean, nowMs: number): number {
    if (!isSo) this.#sinceMs = undefined
    else this.#sinceMs ??= nowMs
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs
  }
}

/** A silence of less is usual on every link: the ends talk to each other once a second. */
const USUAL_SILENCE_MS = 1500
/** What is left of an old silence after one look. */
const FADING = 0.97

/**
 * Tells a link that is down from a slow one, on which a large message is under way for long: what
 * was silent for so long before, and spoke again, is not down.
 */
export class Silence {
  #lastMs = 0
  #usualMs = USUAL_SILENCE_MS

  /**
   * Takes in one look. Gives how long it has been silent when that is at least twice as long as
   * usual, else 0.
   */
  look(silentMs: number): number {
    const hasSpoken = silentMs < this.#lastMs
    this.#usualMs = Math.max(USUAL_SILENCE_MS, FADING * this.#usualMs, hasSpoken ? this.#lastMs : 0)
    this.#lastMs = silentMs
    return silentMs >= 2 * this.#usualMs ? silentMs : 0
  }
}

/** Looks that a rate is taken over. */
const LOOKS = 6

/** Growth per second of a total, over the last few looks. */
export class Rate {
  readonly #looks: { readonly atMs: number; readonly total: number }[] = []

  look(total: number, nowMs: number): number {
    const last = this.#looks.at(-1)
    // A counter that begins anew, with a new connection.
    if (last && total < last.total) this.#looks.length = 0
    this.#looks.push({ atMs: nowMs, total })
    if (this.#looks.length > LOOKS) this.#looks.shift()
    const [first] = this.#looks
    return nowMs > first.atMs ? ((total - first.total) * 1000) / (nowMs - first.atMs) : 0
  }
}
