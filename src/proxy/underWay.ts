/**
 * What is under way: answers, writes.
 *
 * A list and not a Set. When a Set grows or is cleaned up, its old table points to the new one and
 * goes on holding what was in it. If V8 counts one such table as old, it keeps all later ones, with
 * their requests, until the whole heap is collected. A proxy spent a fifth of its time on that.
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

  /** Returns a function to call, once, when it is over. */
  add(what: T): () => void {
    const entry: Entry<T> = { what, before: this.#newest, after: undefined }
    if (this.#newest) this.#newest.after = entry
    this.#newest = entry
    this.#size++
    return () => this.#remove(entry)
  }

  /** A copy: the list may change meanwhile. */
  all(): T[] {
    const found: T[] = []
    for (let entry = this.#newest; entry; entry = entry.before) found.push(entry.what)
    return found
  }

  /** The newest one for which `is` is true. */
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
