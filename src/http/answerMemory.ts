/**
 * What was answered to requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the same request
 * again gets the same answer and is not executed again. In memory, bounded in number, bytes and time.
 *
 * It is the memory of one process, and so of the incarnations in which that led. A request that was sent before and is not
 * remembered is taken for new only if it was sent to the present incarnation, and not so long ago that its answer may have been
 * forgotten. Neither is told by comparing clocks. What an earlier incarnation answered is given again only where what it wrote is
 * known to have lasted.
 */
import type { HistoryPoint } from '../../proto/lineage.ts'
import type { Clock } from '../clock.ts'
import { WalcastError } from '../errors.ts'
import type { FirstAttempt, HeaderValue } from './headers.ts'

export interface AnswerMemoryOptions {
  readonly maxAnswers: number
  readonly maxBytes: number
  readonly keepMs: number
  /** How long a request may be on its way from another node: it does not know how long ago it was sent when it is read. */
  readonly transitMs: number
}

/** What this node leads. */
export interface Leadership {
  /** '' while it does not lead. */
  incarnation(): string
  /** Whether that state is proven to be part of what this node has. */
  contains(point: HistoryPoint): boolean
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
  /** In which it was begun. */
  readonly incarnation: string
  /** In that incarnation, a txid that contains what it wrote; undefined until it is known. */
  readonly txid: number | undefined
  /** SHA-256 of the request's body, once all of it was seen. */
  bodyHash: string | undefined
  readonly ending: Promise<Ending>
}

interface Entry extends Execution {
  txid: number | undefined
  readonly startedMs: number
  bytes: number
  isOver: boolean
  end(ending: Ending): void
}

export class AnswerMemory {
  readonly #options: AnswerMemoryOptions
  readonly #clock: Clock
  readonly #leadership: Leadership
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  /** Nothing that began until then is known for certain. */
  #forgottenMs = Number.NEGATIVE_INFINITY

  /** `clock`: of this node alone, and never set back. */
  constructor(options: AnswerMemoryOptions, clock: Clock, leadership: Leadership) {
    this.#options = options
    this.#clock = clock
    this.#leadership = leadership
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * The execution under this key, or undefined when it is to be executed now: `begin` it. `first`: the first attempt, if it may
   * have been executed. Throws OUTCOME_UNKNOWN when this node cannot know that it was not.
   */
  find(key: string, first: FirstAttempt | undefined): Execution | undefined {
    this.#forgetOld()
    const entry = this.#entries.get(key)
    if (entry || first === undefined) return entry
    if (first.incarnation !== this.#leadership.incarnation())
      throw new WalcastError('OUTCOME_UNKNOWN', { detail: 'another leadership may have executed it' })
    const sinceMs = this.#clock.nowMs() - first.agoMs - this.#options.transitMs
    if (sinceMs > this.#forgottenMs) return undefined
    throw new WalcastError('OUTCOME_UNKNOWN', {
      detail: 'what the leader answered then is no longer known to it',
    })
  }

  /** Whether what was answered still holds: it is of the present incarnation, or what it wrote is part of what this node leads now. */
  holds({ incarnation, txid }: Execution): boolean {
    if (incarnation === this.#leadership.incarnation()) return true
    return txid !== undefined && this.#leadership.contains({ incarnation, txid })
  }

  /** What was executed under this key is part of the state at `txid`, if this node leads on as it did. */
  settle(key: string, txid: number): void {
    const entry = this.#entries.get(key)
    if (entry?.incarnation === this.#leadership.incarnation()) entry.txid ??= txid
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
    const entry: Entry = {
      incarnation: this.#leadership.incarnation(),
      startedMs: this.#clock.nowMs(),
      txid: undefined,
      bytes: 0,
      isOver: false,
      bodyHash: undefined,
      ending,
      end,
    }
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
