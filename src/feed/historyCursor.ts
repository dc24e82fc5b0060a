/**
 * Feeds one replica from history: where it stands there, and what it is sent next.
 *
 * A slow replica costs this cursor and no memory. When history no longer has its place, the cursor
 * says so and sends nothing more.
 */
import { onNextTurn } from '../platform/time.ts'
import type { BatchHistory, HistoryPlace } from './batchHistory.ts'
import type { SendQueue } from './sendQueue.ts'

export interface HistoryCursorHost {
  /** History does not reach back to the cursor's place. */
  onLost(): void
  /** Other replicas had their turn: this one may be fed on. */
  onResumed(): void
}

export class HistoryCursor {
  readonly #history: BatchHistory
  readonly #outbox: SendQueue
  readonly #host: HistoryCursorHost
  #sequence = 0
  #chunk = 0
  #isPausing = false

  constructor(history: BatchHistory, outbox: SendQueue, host: HistoryCursorHost) {
    this.#history = history
    this.#outbox = outbox
    this.#host = host
  }

  /** Goes to the beginning of an entry. */
  moveTo(sequence: number): void {
    this.#sequence = sequence
    this.#chunk = 0
  }

  /** Whether everything there is was sent. */
  get isAtEnd(): boolean {
    const entry = this.#history.get(this.#sequence)
    if (entry) return !entry.complete && this.#chunk >= entry.chunks.length
    return this.#sequence >= this.#history.nextSequence
  }

  /** Whether something before `place` is still to be sent. */
  isBefore({ sequence, chunk }: HistoryPlace): boolean {
    return this.#sequence < sequence || (this.#sequence === sequence && this.#chunk < chunk)
  }

  /** Sends as much as the connection has room for. */
  feed(): void {
    const history = this.#history
    while (this.#sequence < history.nextSequence && this.#outbox.hasRoom && !this.#isPausing) {
      const step = this.#chunk === 0 ? history.compacted(this.#sequence) : undefined
      if (step) {
        this.#sequence = step.nextSequence
        this.#outbox.write(step.message)
        this.#pause()
        continue
      }
      const entry = history.get(this.#sequence)
      const message = entry?.chunks[this.#chunk]
      if (!entry || (!message && this.#chunk < entry.chunks.length)) return this.#host.onLost()
      if (!message && !entry.complete) return
      this.#chunk++
      if (entry.complete && this.#chunk >= entry.chunks.length) {
        this.#sequence++
        this.#chunk = 0
      }
      if (message) this.#outbox.write(message)
    }
  }

  /** A compacted step takes its time to make: other replicas are fed before the next one. */
  #pause(): void {
    this.#isPausing = true
    onNextTurn(() => {
      this.#isPausing = false
      this.#host.onResumed()
    })
  }
}
