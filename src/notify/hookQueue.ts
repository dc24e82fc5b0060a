/**
 * Handles items one after another, in order of arrival. When too many wait, the oldest is dropped:
 * the later ones say what holds now.
 */
import { cancelTimer, setTimer } from '../platform/time.ts'

export interface HookQueueOptions<T> {
  /** The most items that wait beside the running one. */
  readonly maxWaiting: number
  /** Must not reject, and must end soon after `signal` is aborted. */
  run(item: T, signal: AbortSignal): Promise<void>
  onDropped(item: T): void
}

export class HookQueue<T> {
  readonly #options: HookQueueOptions<T>
  readonly #aborted = new AbortController()
  readonly #waiting: T[] = []
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: HookQueueOptions<T>) {
    this.#options = options
  }

  push(item: T): void {
    if (this.#isStopped) return this.#options.onDropped(item)
    this.#waiting.push(item)
    this.#running ??= this.#runAll()
    if (this.#waiting.length <= this.#options.maxWaiting) return
    for (const dropped of this.#waiting.splice(0, 1)) this.#options.onDropped(dropped)
  }

  /**
   * Accepts no more items. The present ones may go on for `graceMs`; then the running one is
   * aborted and the others are dropped.
   */
  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true
    const timer = setTimer(() => this.#abort(), graceMs)
    await this.#running
    cancelTimer(timer)
  }

  async #runAll(): Promise<void> {
    for (;;) {
      const item = this.#waiting.shift()
      if (item === undefined) break
      await this.#options.run(item, this.#aborted.signal)
    }
    this.#running = undefined
  }

  #abort(): void {
    for (const dropped of this.#waiting.splice(0)) this.#options.onDropped(dropped)
    this.#aborted.abort()
  }
}
