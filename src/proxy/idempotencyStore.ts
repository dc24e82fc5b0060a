/**
 * The answers to requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the
 * same request again gets the same answer and is not executed again. In memory, bounded in number,
 * bytes and time.
 *
 * The store is the memory of one process, and so of the incarnations in which that process led. A
 * request that was sent before and is not remembered counts as new only if it was meant for the
 * present incarnation, and not so long ago that its answer may have been forgotten. No clocks are
 * compared for that. An answer of an earlier incarnation is given again only if what it wrote is
 * known to have lasted.
 *
 * Clients share the store fairly. When it is full, the client with the most in it loses its oldest
 * answer. So a client that makes up keys pushes out its own.
 */
import type { HistoryPoint } from '../../proto/lineage.ts'
import { keyOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { FirstAttempt } from './firstAttempt.ts'
import { Heaviest, type Weighed } from './heaviest.ts'
import { bytesOf, type Ending, type Execution } from './idempotentExecution.ts'

export interface IdempotencyStoreOptions {
  readonly maxAnswers: number
  /**
   * Bytes of answers with their heads and keys, and of keeping them. An execution under way is
   * never forgotten for it.
   */
  readonly maxBytes: number
  readonly keepMs: number
  /**
   * How long a request may be on its way from another node: the age of its first attempt does not
   * count that time.
   */
  readonly transitMs: number
  /** An answer was forgotten before its time. */
  onPushedOut?(why: PushedOut): void
}

/** `number`: no more answers may be kept. `size`: they take as many bytes as they may. */
export type PushedOut = 'number' | 'size'

/** The leadership of this node. */
export interface Leadership {
  /** '' while it does not lead. */
  incarnation(): string
  /** Whether that state is proven to be part of this node's history. */
  contains(point: HistoryPoint): boolean
}

interface Entry extends Execution {
  readonly key: string
  readonly owner: Owner
  txid: number | undefined
  readonly startedMs: number
  bytes: number
  /** Its weight: 1 unless it is larger than its share. */
  units: number
  isOver: boolean
  end(ending: Ending): void
}

/** What one client has in the store. */
interface Owner extends Weighed {
  readonly name: string
  /** Oldest first. */
  readonly entries: Map<string, Entry>
  /** What began by then is no longer known for certain, for this client. */
  forgottenMs: number
}

const ELSEWHERE = 'another leadership may have executed it'
const FORGOTTEN = 'the leader no longer remembers what it answered then'
/** Bytes of an entry beside its key, its client and its answer. */
const ENTRY_COST_BYTES = 1024

export class IdempotencyStore {
  readonly #options: IdempotencyStoreOptions
  readonly #clock: Clock
  readonly #leadership: Leadership
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #owners = new Map<string, Owner>()
  /**
   * Owners that have nothing left and of whom something was forgotten; the one that has been here
   * for longest comes first.
   */
  readonly #bare = new Map<string, Owner>()
  readonly #heaviest = new Heaviest<Owner>()
  /**
   * An answer's share of the bytes when the store is full; a larger answer weighs as much as
   * several.
   */
  readonly #unitBytes: number
  #bytes = 0
  /** What began by then is no longer known for certain, for any client. */
  #forgottenMs = Number.NEGATIVE_INFINITY

  /** `clock`: of this node alone, and never set back. */
  constructor(options: IdempotencyStoreOptions, clock: Clock, leadership: Leadership) {
    this.#options = options
    this.#unitBytes = Math.max(1, options.maxBytes / Math.max(1, options.maxAnswers))
    this.#clock = clock
    this.#leadership = leadership
  }

  /** The incarnation in which this node leads; '' while it does not. */
  get leadership(): string {
    return this.#leadership.incarnation()
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * The execution under this key; undefined when the request must be executed now: `begin` it.
   * `first`: the first attempt by this `client`, if that may have been executed. Throws
   * OUTCOME_UNKNOWN when this node cannot know that it was not. That is remembered: a client that
   * is told so may send its key again.
   */
  find(key: string, client: string, first: FirstAttempt | undefined): Execution | undefined {
    this.#forgetOld()
    const entry = this.#entries.get(key)
    if (entry || first === undefined) return entry
    if (first.incarnation !== this.#leadership.incarnation())
      throw this.#unknown(key, client, ELSEWHERE)
    const sinceMs = this.#clock.nowMs() - first.agoMs - this.#options.transitMs
    const owner = this.#owners.get(client) ?? this.#bare.get(client)
    const forgottenMs = Math.max(this.#forgottenMs, owner?.forgottenMs ?? Number.NEGATIVE_INFINITY)
    if (sinceMs > forgottenMs) return undefined
    throw this.#unknown(key, client, FORGOTTEN)
  }

  /**
   * Whether the answer still holds: it is of the present incarnation, or what it wrote is part of
   * what this node leads now.
   */
  holds({ incarnation, txid }: Execution): boolean {
    if (incarnation === this.#leadership.incarnation()) return true
    return txid !== undefined && this.#leadership.contains({ incarnation, txid })
  }

  /**
   * What was executed under this key is part of the state at `txid`, if this node still leads as it
   * did.
   */
  settle(key: string, txid: number): void {
    const entry = this.#entries.get(key)
    // An entry that is under way belongs to another execution: the one that was meant has been
    // forgotten.
    if (entry?.isOver && entry.incarnation === this.#leadership.incarnation()) entry.txid ??= txid
  }

  /**
   * `client`: whom the execution is counted under. Throws TOO_MANY_REQUESTS when as many are under
   * way as may be remembered, or when this client would push out clients that have less.
   */
  begin(key: string, client: string): Execution {
    const { maxAnswers } = this.#options
    if (
      this.#entries.size >= maxAnswers &&
      !this.#pushOut('number', this.#owners.get(client)?.weight ?? 0)
    )
      throw new WalcastError('TOO_MANY_REQUESTS', { limit: maxAnswers })
    const owner = this.#ownerOf(client)
    let end: (ending: Ending) => void = () => {}
    const ending = new Promise<Ending>((resolve) => {
      end = resolve
    })
    const entry: Entry = {
      key,
      owner,
      incarnation: this.#leadership.incarnation(),
      startedMs: this.#clock.nowMs(),
      txid: undefined,
      bytes: 0,
      units: 0,
      isOver: false,
      bodyHash: undefined,
      ending,
      end,
    }
    this.#entries.set(key, entry)
    owner.entries.set(key, entry)
    this.#charge(entry, ENTRY_COST_BYTES + key.length + client.length)
    this.#keepSize()
    return entry
  }

  end(key: string, ending: Exclude<Ending, 'notExecuted'>): void {
    const entry = this.#entries.get(key)
    if (!entry || entry.isOver) return
    entry.isOver = true
    if ('answer' in ending) this.#charge(entry, bytesOf(ending.answer))
    entry.end(ending)
    this.#keepSize()
  }

  /** The request was not executed: the key is free again. */
  cancel(key: string): void {
    const entry = this.#entries.get(key)
    if (!entry || entry.isOver) return
    this.#remove(entry)
    entry.end('notExecuted')
  }

  #unknown(key: string, client: string, detail: string): WalcastError {
    try {
      this.begin(key, client)
      this.end(key, { lost: detail })
    } catch (error) {
      // There is no room. A client that asks again may be told otherwise, as with anything that was
      // forgotten.
      if (keyOf(error) !== 'TOO_MANY_REQUESTS') throw error
    }
    return new WalcastError('OUTCOME_UNKNOWN', { detail })
  }

  #forgetOld(): void {
    const untilMs = this.#clock.nowMs() - this.#options.keepMs
    for (const entry of this.#entries.values()) {
      if (entry.startedMs > untilMs) break
      if (entry.isOver) this.#forget(entry)
    }
    for (const owner of this.#bare.values()) {
      if (owner.forgottenMs > untilMs && this.#bare.size <= this.#options.maxAnswers) break
      this.#bare.delete(owner.name)
      this.#forgottenMs = Math.max(this.#forgottenMs, owner.forgottenMs)
    }
  }

  #keepSize(): void {
    while (this.#bytes > this.#options.maxBytes && this.#pushOut('size', 0)) {}
  }

  /** Forgets the oldest answer of the client that has most in the store, and at least `least`. */
  #pushOut(why: PushedOut, least: number): boolean {
    for (const { entries } of this.#heaviest.from(least))
      for (const entry of entries.values()) {
        if (!entry.isOver) continue
        this.#forget(entry)
        this.#options.onPushedOut?.(why)
        return true
      }
    return false
  }

  #forget(entry: Entry): void {
    const { owner, startedMs } = entry
    owner.forgottenMs = Math.max(owner.forgottenMs, startedMs)
    this.#remove(entry)
  }

  #remove(entry: Entry): void {
    const { key, owner } = entry
    this.#entries.delete(key)
    owner.entries.delete(key)
    this.#bytes -= entry.bytes
    this.#heaviest.weigh(owner, owner.weight - entry.units)
    if (owner.entries.size > 0) return
    this.#owners.delete(owner.name)
    if (Number.isFinite(owner.forgottenMs)) this.#bare.set(owner.name, owner)
  }

  #ownerOf(client: string): Owner {
    const owner = this.#owners.get(client) ??
      this.#bare.get(client) ?? {
        name: client,
        entries: new Map<string, Entry>(),
        weight: 0,
        forgottenMs: Number.NEGATIVE_INFINITY,
      }
    this.#bare.delete(client)
    this.#owners.set(client, owner)
    return owner
  }

  #charge(entry: Entry, bytes: number): void {
    const { owner, units } = entry
    entry.bytes += bytes
    entry.units = Math.ceil(entry.bytes / this.#unitBytes)
    this.#bytes += bytes
    this.#heaviest.weigh(owner, owner.weight + entry.units - units)
  }
}
