import type { Clock } from '../clock.ts'

const WINDOW_MS = 100

/** How fast a WAL grows, by whole windows of a tenth of a second: one large transaction is no speed. */
export class FrameRate {
  readonly #clock: Clock
  #windowMs = 0
  #frames = 0
  #inWindow = 0
  #perSecond = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `frames`: in the WAL now; fewer than before when it was started over. */
  onFrames(frames: number): void {
    this.#roll()
    this.#inWindow += frames >= this.#frames ? frames - this.#frames : frames
    this.#frames = frames
  }

  /** Of the last whole window. */
  perSecond(): number {
    this.#roll()
    return this.#perSecond
  }

  #roll(): void {
    const nowMs = this.#clock.nowMs()
    const elapsedMs = nowMs - this.#windowMs
    if (elapsedMs >= 0 && elapsedMs < WINDOW_MS) return
    this.#perSecond = elapsedMs < 0 ? 0 : (1000 * this.#inWindow) / elapsedMs
    this.#windowMs = nowMs
    this.#inWindow = 0
  }
}
