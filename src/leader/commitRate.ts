import type { Clock } from '../platform/clock.ts'

const WINDOW_MS = 100

/** Commits a second, measured over whole windows of a tenth of a second. */
export class CommitRate {
  readonly #clock: Clock
  #windowMs = 0
  /**
   * The txid when the window began; undefined before the first commit, since earlier commits say
   * nothing about speed.
   */
  #firstTxid: number | undefined
  #txid = 0
  #perSecond = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `txid` is that of the last commit. */
  onCommit(txid: number): void {
    this.#roll()
    this.#firstTxid ??= txid
    this.#txid = txid
  }

  /** The rate of the last whole window. */
  perSecond(): number {
    this.#roll()
    return this.#perSecond
  }

  #roll(): void {
    const nowMs = this.#clock.nowMs()
    const elapsedMs = nowMs - this.#windowMs
    if (elapsedMs >= 0 && elapsedMs < WINDOW_MS) return
    this.#perSecond =
      elapsedMs < 0 ? 0 : (1000 * (this.#txid - (this.#firstTxid ?? this.#txid))) / elapsedMs
    this.#windowMs = nowMs
    if (this.#firstTxid !== undefined) this.#firstTxid = this.#txid
  }
}
