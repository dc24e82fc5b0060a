/**
 * What is under way: answers, writes.
 *
 * A list and not a Set: each table that a Set outgrows or cleans up points to the one that follows
 * it and goes on holding what was in it. One that V8 counts as old keeps all that come after it,
 * with their requests, until the whole heap is collected; a proxy spent a fifth of its time on
 * that.
 */

interface Entry<T> {
  readonly what: T
  before: Entry<T> | undefined
  after: Entry<T> | undefined
}

export class UnderWay<T> {
  #newest: Entry<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Gives what to call, once, when it is over. */
  add(what: T): () => void {
    const entry: Entry<T> = { what, before: this.#newest, after: undefined }
    if (this.#newest) this.#newest.after = entry
    this.#newest = entry
    this.#size++
    return () => this.#remove(entry)
  }

  /** As they are now: the list may change meanwhile. */
  all(): T[] {
    const found: T[] = []
    for (let entry = this.#newest; entry; entry = entry.before) found.push(entry.what)
    return found
  }

  /** The one that came last of those that `is` it. */
  newest(is: (what: T) => boolean): T | undefined {
    let entry = this.#newest
    while (entry && !is(entry.what)) entry = entry.before
    return entry?.what
  }

  #remove(entry: Entry<T>): void {
    const { before, after } = entry
    if (before) before.after = after
    if (after) after.before = before
    else this.#newest = before
    entry.before = undefined
    entry.after = undefined
    this.#size--
  }
}
