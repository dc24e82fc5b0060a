/** What is to happen, by its time: a simulated clock. */
interface Due {
  readonly atMs: number
  readonly order: number
  readonly happen: () => void
}

export class EventQueue {
  nowMs = 0
  #order = 0
  /** A heap: the next one is first. */
  readonly #due: Due[] = []

  after(delayMs: number, happen: () => void): void {
    this.#due.push({ atMs: this.nowMs + delayMs, order: this.#order++, happen })
    this.#rise(this.#due.length - 1)
  }

  /** Lets the next thing happen. False when nothing is left, or nothing by `untilMs`. */
  next(untilMs: number): boolean {
    const [first] = this.#due
    if (!first || first.atMs > untilMs) return false
    const last = this.#due.pop()
    if (last && last !== first) {
      this.#due[0] = last
      this.#sink(0)
    }
    this.nowMs = first.atMs
    first.happen()
    return true
  }

  #isBefore(a: number, b: number): boolean {
    const [left, right] = [this.#due[a], this.#due[b]]
    return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
  }

  #swap(a: number, b: number): void {
    const kept = this.#due[a]
    this.#due[a] = this.#due[b]
    this.#due[b] = kept
  }

  #rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(from: number): void {
    for (let at = from; ; ) {
      let first = at
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.#due.length && this.#isBefore(child, first)) first = child
      if (first === at) return
      this.#swap(at, first)
      at = first
    }
  }
}
