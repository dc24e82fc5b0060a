/**
 * Waits of a leader for the archive: a write is answered once every place of the node that archives
 * has it.
 */
import type { Position } from '../../proto/position.ts'
import type { AckEnd, AckOutcome } from '../feed/acknowledgements.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'

interface Waiter {
  readonly position: Position
  end(end: AckEnd): void
}

export class ArchivedWaits {
  readonly #limit: number
  readonly #waiters = new Set<Waiter>()
  #at: Position = { epoch: 0, txid: 0 }

  /** `limit` bounds the waits. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Waits now. */
  get size(): number {
    return this.#waiters.size
  }

  /** Every place has this position of the leader's history, and all before it. */
  reach(at: Position): void {
    this.#at = at
    for (const waiter of this.#waiters) if (this.#has(waiter.position)) waiter.end('reached')
  }

  /** A node says that it has archived `at`. It is ignored when the leader is not there itself. */
  hear(at: Position, now: Position): void {
    if (at.epoch === now.epoch && at.txid <= now.txid) this.reach(at)
  }

  /** Never rejects. */
  wait(position: Position, timeoutMs: number): Promise<AckOutcome> {
    const outcome = (end: AckEnd) => ({ reached: end === 'reached', replicas: 0, end })
    if (this.#has(position)) return Promise.resolve(outcome('reached'))
    if (this.#waiters.size >= this.#limit) return Promise.resolve(outcome('full'))
    return new Promise((resolve) => {
      const timer = setTimer(() => waiter.end('timeout'), timeoutMs)
      const waiter: Waiter = {
        position,
        end: (end) => {
          cancelTimer(timer)
          this.#waiters.delete(waiter)
          resolve(outcome(end))
        },
      }
      this.#waiters.add(waiter)
    })
  }

  /** The node no longer leads. */
  endAll(): void {
    for (const waiter of this.#waiters) waiter.end('ended')
    this.#at = { epoch: 0, txid: 0 }
  }

  #has({ epoch, txid }: Position): boolean {
    return epoch === this.#at.epoch && txid <= this.#at.txid
  }
}
