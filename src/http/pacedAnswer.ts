/**
 * An answer that costs something to make, for whoever asks. A few askers in each period have one of their own at once. More
 * than that wait for the end of the period and share one, made after they asked: a crowd is never given an old answer, and
 * makes no more than one for each period.
 */
export class PacedAnswer<T> {
  readonly #make: () => Promise<T>
  readonly #free: number
  readonly #periodMs: number
  #made = 0
  #beganMs = Number.NEGATIVE_INFINITY
  #shared: Promise<T> | undefined

  constructor(make: () => Promise<T>, free: number, periodMs: number) {
    this.#make = make
    this.#free = free
    this.#periodMs = periodMs
  }

  /** Rejects as `make` does. */
  get(): Promise<T> {
    const nowMs = performance.now()
    const leftMs = this.#beganMs + this.#periodMs - nowMs
    if (leftMs <= 0) {
      this.#beganMs = nowMs
      this.#made = 0
    }
    if (this.#made < this.#free) {
      this.#made++
      return this.#make()
    }
    this.#shared ??= new Promise((resolve) => {
      setTimeout(() => {
        this.#shared = undefined
        this.#beganMs = performance.now()
        this.#made = 1
        resolve(this.#make())
      }, leftMs)
    })
    return this.#shared
  }
}
