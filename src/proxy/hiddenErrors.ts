/**
 * Logs what clients are not told of an error: one line for each code in a while, however many
 * requests meet it.
 */
import type { Logger } from 'pino'
import type { ErrorCode, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { isHidden } from './publicErrors.ts'

/** Pause between two lines about one code. */
const REST_MS = 10_000

export class HiddenErrors {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #toldMs = new Map<ErrorCode, number>()
  readonly #untold = new Map<ErrorCode, number>()

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  tell(error: WalcastError): void {
    const { key } = error
    // An unforeseen error is logged where it happens.
    if (key === 'INTERNAL' || !isHidden(error)) return
    const nowMs = this.#clock.nowMs()
    const untold = this.#untold.get(key) ?? 0
    if (Math.abs(nowMs - (this.#toldMs.get(key) ?? 0)) < REST_MS)
      return void this.#untold.set(key, untold + 1)
    this.#toldMs.set(key, nowMs)
    this.#untold.delete(key)
    this.#log.warn({ error: error.line, since: untold }, 'a request was answered with an error')
  }
}
