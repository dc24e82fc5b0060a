/** Rounds of work on a place, with a pause between them that grows while they fail. */
import { asWalcastError, type WalcastError } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { monotonicMs } from '../platform/time.ts'
import type { PlaceProgress } from './placeProgress.ts'
import { WakeablePause } from './wakeablePause.ts'

const MAX_WAIT_MS = 30_000

export interface RoundsHost {
  /** From the beginning of one round to that of the next, at most. */
  readonly everyMs: number
  /** When the next round is to come, if that is earlier, ms. */
  soonerMs(): number | undefined
  /** One step. Gives whether there may be more to do at once. */
  advance(): Promise<boolean>
  readonly progress: PlaceProgress
  /** `isNew`: another failure than that of the round before. */
  onFailed(error: WalcastError, waitMs: number, isNew: boolean): void
  /** A round went well after one that failed. */
  onRecovered(): void
}

export class PlaceRounds {
  readonly #host: RoundsHost
  readonly #backoff: Backoff
  readonly #pause = new WakeablePause()
  #error: WalcastError | undefined
  #running: Promise<void> | undefined

  constructor(host: RoundsHost) {
    this.#host = host
    this.#backoff = new Backoff(host.everyMs, MAX_WAIT_MS)
  }

  /** Why the last round failed. */
  get error(): WalcastError | undefined {
    return this.#error
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** The next round comes at once. */
  wake(): void {
    this.#pause.wake()
  }

  /** After one round more. */
  async stop(): Promise<void> {
    this.#pause.end()
    await this.#running
  }

  async #run(): Promise<void> {
    for (;;) {
      const isLast = this.#pause.isEnded
      const waitMs = await this.#round()
      if (isLast) return
      await this.#pause.wait(waitMs)
    }
  }

  /** Gives how long to wait. */
  async #round(): Promise<number> {
    const { everyMs, soonerMs, advance, progress, onFailed, onRecovered } = this.#host
    const sinceMs = monotonicMs()
    try {
      while (await advance()) this.#backoff.reset()
      this.#backoff.reset()
      if (this.#error) onRecovered()
      this.#error = undefined
      progress.rounds++
      const leftMs = Math.max(0, everyMs - (monotonicMs() - sinceMs))
      return Math.min(leftMs, soonerMs() ?? leftMs)
    } catch (error) {
      const failure = asWalcastError(error)
      const isNew = this.#error?.key !== failure.key
      this.#error = failure
      const waitMs = this.#backoff.nextMs()
      onFailed(failure, waitMs, isNew)
      return waitMs
    }
  }
}
