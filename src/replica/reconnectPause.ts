/** How long a replica waits before it connects again. */
import type { ErrorCode, WalcastError } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'

/** Errors that last until an operator makes room. Each attempt costs both sides a vain transfer. */
const WAITS_FOR_PEOPLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DISK_FULL',
  'WRITE_FAILED',
  'DIVERGED_UNKEPT',
])
/** After one of them the pause is this many times as long. */
const PATIENCE = 5

export class ReconnectPause {
  readonly #backoff: Backoff

  constructor(minMs: number, maxMs: number) {
    this.#backoff = new Backoff(minMs, maxMs)
  }

  /** Longer after an error that only people can mend. */
  nextMs(error: WalcastError | undefined): number {
    const times = error && WAITS_FOR_PEOPLE.has(error.key) ? PATIENCE : 1
    return times * this.#backoff.nextMs()
  }

  /** The connection works, so the next reconnect is quick again. */
  reset(): void {
    this.#backoff.reset()
  }
}
