/**
 * What was answered to requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the same request
 * again gets the same answer and is not executed again. In memory, bounded in number, bytes and time; what was forgotten
 * or happened before this process began is never taken for new.
 */
import type { Clock } from '../clock.ts'
import { WalcastError } from '../errors.ts'
import type { HeaderValue } from './headers.ts'

export interface AnswerMemoryOptions {
  readonly maxAnswers: number
  readonly maxBytes: number
  readonly keepMs: number
  /** How wrong another node's idea of this node's clock may be. */
  readonly clockMarginMs: number
}

export interface StoredAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Readonly<Record<string, HeaderValue>>
  readonly body: Buffer
}

/** How the first execution ended: with an answer that was kept, or with one that was not or never came. */
export type Ending = { readonly answer: StoredAnswer } | { readonly lost: string }

export interface Execution {
  /** SHA-256 of the request's body, once all of it was seen. */
  bodyHash: string | undefined
  readonly ending: Promise<Ending>
}

interface Entry extends Execution {
  readonly startedMs: number
  bytes: number
  isOver: boolean
  end(ending: Ending): void
}

export class AnswerMemory {
  readonly #options: AnswerMemoryOptions
  readonly #clock: Clock
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  /** Nothing that began until then is known for certain. */
  #forgottenMs: number

  constructor(options: AnswerMemoryOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#forgottenMs = clock.nowMs()
  }

  /** Another node has led until now: what was executed before is not known here. */
  restart(): void {
    this.#forgottenMs = this.#clock.nowMs()
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * The execution under this key, or undefined when it is to be executed now: `begin` it. `firstSentMs`: when it was sent for
   * the first time, in this clock, if it was sent before. Throws OUTCOME_UNKNOWN when that may have been executed and forgotten.
   */
  find(key: string, firstSentMs: number | undefined): Execution | undefined {
    this.#forgetOld()
    const entry = this.#entries.get(key)
    if (!entry && firstSentMs !== undefined && firstSentMs <= this.#forgottenMs + this.#options.clockMarginMs)
      throw new WalcastError('OUTCOME_UNKNOWN', {
        detail: 'what the leader answered then is no longer known to it',
      })
    return entry
  }

  /** Throws TOO_MANY_REQUESTS when as many are under way as may be remembered. */
  begin(key: string): Execution {
    const { maxAnswers } = this.#options
    if (this.#entries.size >= maxAnswers && !this.#forgetOne())
      throw new WalcastError('TOO_MANY_REQUESTS', { limit: maxAnswers })
    let end: (ending: Ending) => void = () => {}
    const ending = new Promise<Ending>((resolve) => {
      end = resolve
    })
    const startedMs = this.#clock.nowMs()
    const entry: Entry = { startedMs, bytes: 0, isOver: false, bodyHash: undefined, ending, end }
    this.#entries.set(key, entry)
    return entry
  }

  end(key: string, ending: Ending): void {
    const entry = this.#entries.get(key)
    if (!entry || entry.isOver) return
    entry.isOver = true
    entry.bytes = 'answer' in ending ? ending.answer.body.length : 0
    this.#bytes += entry.bytes
    entry.end(ending)
    while (this.#bytes > this.#options.maxBytes && this.#forgetOne()) {}
  }

  /** It was not executed: the key is free again. */
  cancel(key: string, reason: string): void {
    const entry = this.#entries.get(key)
    if (!entry || entry.isOver) return
    this.#entries.delete(key)
    entry.end({ lost: reason })
  }

  #forgetOld(): void {
    const untilMs = this.#clock.nowMs() - this.#options.keepMs
    for (const [key, entry] of this.#entries) {
      if (entry.startedMs > untilMs) return
      if (entry.isOver) this.#forget(key, entry)
    }
  }

  /** The oldest that is over. */
  #forgetOne(): boolean {
    for (const [key, entry] of this.#entries) {
      if (!entry.isOver) continue
      this.#forget(key, entry)
      return true
    }
    return false
  }

  #forget(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
    this.#forgottenMs = Math.max(this.#forgottenMs, entry.startedMs)
  }
}
