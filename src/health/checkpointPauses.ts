/** The pauses that checkpoints have made since the process began, for the history of lag. */
export class CheckpointPauses {
  #count = 0
  #totalMs = 0
  #longestMs = 0

  /** A checkpoint ended; most stop nobody. */
  add(pauseMs: number): void {
    if (pauseMs <= 0) return
    this.#count++
    this.#totalMs += pauseMs
    this.#longestMs = Math.max(this.#longestMs, pauseMs)
  }

  get count(): number {
    return this.#count
  }

  get totalMs(): number {
    return this.#totalMs
  }

  /** The longest one since the last call; 0 without any. */
  takeLongestMs(): number {
    const longestMs = this.#longestMs
    this.#longestMs = 0
    return longestMs
  }
}
