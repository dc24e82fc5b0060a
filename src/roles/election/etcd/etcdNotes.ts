/**
 * The notes of candidates in etcd. Each is on a lease of its own node, which outlives none by more
 * than its TTL. Publications go one after another: each looks whether the lease is there.
 */
import { monotonicMs } from '../../../platform/time.ts'
import { Turns } from '../../../platform/turns.ts'
import { MAX_CANDIDATE_NOTES, MAX_ELECTION_BYTES } from '../leaseService.ts'
import { EtcdRefusal, readLease, readRange } from './etcdAnswers.ts'
import type { EtcdGateway } from './etcdGateway.ts'
import {
  type EtcdKeys,
  leaseGrant,
  leaseKeepAlive,
  leaseRevoke,
  notesBetween,
  transaction,
  write,
} from './etcdRequests.ts'

/** Calls that wait for an earlier one; each ends in time. */
const MAX_WAITING = 16
/** In base64, and with its key. */
const MAX_NOTES_BYTES = MAX_CANDIDATE_NOTES * (MAX_ELECTION_BYTES * 1.4 + 2048)

export class EtcdNotes {
  readonly #gateway: EtcdGateway
  readonly #keys: EtcdKeys
  readonly #ttlMs: number
  readonly #turns = new Turns(1, MAX_WAITING)
  #note: string | undefined
  #lease: string | undefined
  /** When a renewal of the leader's lease kept it last; by the monotonic clock. */
  #keptMs = Number.NEGATIVE_INFINITY

  constructor(gateway: EtcdGateway, keys: EtcdKeys, ttlMs: number) {
    this.#gateway = gateway
    this.#keys = keys
    this.#ttlMs = ttlMs
  }

  /** Undefined: no note was published. */
  get lease(): string | undefined {
    return this.#lease
  }

  /** A renewal of the leader's lease has kept this one too. */
  wasKept(lease: string): void {
    if (lease === this.#lease) this.#keptMs = monotonicMs()
  }

  publish(note: string): Promise<void> {
    const bytes = Buffer.byteLength(note)
    if (bytes > MAX_ELECTION_BYTES)
      throw new RangeError(`a note of ${bytes} bytes for ${MAX_ELECTION_BYTES}`)
    return this.#inTurn(async () => {
      this.#note = note
      const untilMs = this.#gateway.deadlineMs()
      if (this.#lease !== undefined && (await this.#put(this.#lease, note, untilMs))) return
      await this.#putAnew(note, untilMs)
    })
  }

  keep(): Promise<void> {
    // A renewal comes every third of the TTL, and keeps the note while it does.
    if (monotonicMs() < this.#keptMs + this.#ttlMs / 2) return Promise.resolve()
    return this.#inTurn(async () => {
      if (this.#note === undefined) return
      const untilMs = this.#gateway.deadlineMs()
      if (this.#lease !== undefined && (await this.#isKept(this.#lease, untilMs))) return
      await this.#putAnew(this.#note, untilMs)
    })
  }

  withdraw(): Promise<void> {
    return this.#inTurn(async () => {
      const lease = this.#lease
      this.#note = undefined
      this.#lease = undefined
      if (lease === undefined) return
      await unlessGone(this.#gateway.call(leaseRevoke(lease)))
    })
  }

  /** Those that are too long are left out. */
  async all(): Promise<readonly string[]> {
    const { firstNote, afterNotes } = this.#keys
    const range = notesBetween(firstNote, afterNotes, MAX_CANDIDATE_NOTES)
    const { messages } = await this.#gateway.call({ ...range, maxBytes: MAX_NOTES_BYTES })
    return readRange(messages[0])
      .map(({ value }) => value)
      .filter((note) => Buffer.byteLength(note) <= MAX_ELECTION_BYTES)
      .slice(0, MAX_CANDIDATE_NOTES)
  }

  async #putAnew(note: string, untilMs: number): Promise<void> {
    this.#lease = undefined
    const granted = await this.#gateway.call(leaseGrant(this.#ttlMs), untilMs)
    const { id } = readLease(granted.messages[0])
    // Kept even when the answer to the next request is lost: the note may be on it.
    this.#lease = id
    if (await this.#put(id, note, untilMs)) return
    throw this.#gateway.away('a lease that it granted has ended at once')
  }

  /** False when the lease has ended. */
  #put(lease: string, note: string, untilMs: number): Promise<boolean> {
    const request = transaction([], [write(this.#keys.note, note, lease)])
    return unlessGone(this.#gateway.call(request, untilMs))
  }

  async #isKept(lease: string, untilMs: number): Promise<boolean> {
    const { messages } = await this.#gateway.call(leaseKeepAlive([lease]), untilMs)
    return readLease(messages[0]).ttlMs > 0
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = await this.#turns.take()
    if (!done) throw this.#gateway.away('too many calls wait for it')
    try {
      await work()
    } finally {
      done()
    }
  }
}

async function unlessGone(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    if (error instanceof EtcdRefusal && error.isLeaseGone) return false
    throw error
  }
}
