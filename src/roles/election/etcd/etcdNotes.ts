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
  /** Etcd is known to have this note, on this lease. */
  #isWritten = false
  /** When the lease was last begun or renewed, by the monotonic clock. */
  #keptMs = 0

  constructor(gateway: EtcdGateway, keys: EtcdKeys, ttlMs: number) {
    this.#gateway = gateway
    this.#keys = keys
    this.#ttlMs = ttlMs
  }

  publish(note: string): Promise<void> {
    const bytes = Buffer.byteLength(note)
    if (bytes > MAX_ELECTION_BYTES)
      throw new RangeError(`a note of ${bytes} bytes for ${MAX_ELECTION_BYTES}`)
    return this.#inTurn(async (untilMs) => {
      this.#note = note
      this.#isWritten = false
      // A write does not keep a lease. One more request is spared where a call to keep comes soon.
      const isOld = monotonicMs() > this.#keptMs + this.#ttlMs / 2
      if ((!isOld || (await this.#isKept(untilMs))) && (await this.#put(note, untilMs))) return
      await this.#putAnew(note, untilMs)
    })
  }

  keep(): Promise<void> {
    return this.#inTurn(async (untilMs) => {
      const note = this.#note
      if (note === undefined) return
      if (await this.#isKept(untilMs))
        if (this.#isWritten || (await this.#put(note, untilMs))) return
      await this.#putAnew(note, untilMs)
    })
  }

  withdraw(): Promise<void> {
    return this.#inTurn(async (untilMs) => {
      const lease = this.#lease
      this.#note = undefined
      this.#lease = undefined
      if (lease === undefined) return
      await unlessGone(this.#gateway.call(leaseRevoke(lease), untilMs))
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
    this.#isWritten = false
    const { messages, sentMs } = await this.#gateway.call(leaseGrant(this.#ttlMs), untilMs)
    // Known even when the answer to the next request is lost: the note may be on it.
    this.#lease = readLease(messages[0]).id
    this.#keptMs = sentMs
    if (await this.#put(note, untilMs)) return
    throw this.#gateway.away('a lease that it has just granted is gone')
  }

  /** False when there is no lease. */
  async #put(note: string, untilMs: number): Promise<boolean> {
    if (this.#lease === undefined) return false
    const request = transaction([], [write(this.#keys.note, note, this.#lease)])
    this.#isWritten = await unlessGone(this.#gateway.call(request, untilMs))
    return this.#isWritten
  }

  /** False when there is no lease. */
  async #isKept(untilMs: number): Promise<boolean> {
    if (this.#lease === undefined) return false
    const { messages, sentMs } = await this.#gateway.call(leaseKeepAlive(this.#lease), untilMs)
    if (readLease(messages[0]).ttlMs === 0) return false
    this.#keptMs = sentMs
    return true
  }

  async #inTurn(work: (untilMs: number) => Promise<void>): Promise<void> {
    const untilMs = this.#gateway.deadlineMs()
    const done = await this.#turns.take()
    if (!done) throw this.#gateway.away('too many calls wait for it')
    try {
      await work(untilMs)
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
