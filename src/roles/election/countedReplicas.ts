/**
 * Whose confirmations count: a replica's do once the lock service says so, so that nobody is
 * promoted without having heard of it. It stays on the list for a while after it has left.
 */
import { isFurther, type Position } from '../../../proto/position.ts'
import type { ReplicaStatus } from '../../feed/replicaStatus.ts'
import { monotonicMs } from '../../platform/time.ts'
import { MAX_COUNTED_NODES } from './electionRecord.ts'
import type { LeaseHolder } from './leaseHolder.ts'

/** How long a replica is away before it is taken off the list, in TTLs. */
const PATIENCE = 2

export interface CountedReplicasParts {
  readonly holder: LeaseHolder
  readonly ttlMs: number
  replicas(): readonly ReplicaStatus[]
  /** Of this leader. */
  position(): Position
}

export class CountedReplicas {
  readonly #parts: CountedReplicasParts
  /** When each was last seen connected, by the monotonic clock. */
  readonly #seenMs = new Map<string, number>()
  /** They are being taken off the list. */
  #leaving: ReadonlySet<string> = new Set()

  constructor(parts: CountedReplicasParts) {
    this.#parts = parts
  }

  /** On the hot path. */
  counts(node: string): boolean {
    const { holder } = this.#parts
    return !this.#leaving.has(node) && (holder.term?.counted.includes(node) ?? false)
  }

  /** Keeps the list of the term. Throws LEASE_LOST or ELECTION_AWAY. */
  async keep(): Promise<void> {
    const { holder, replicas } = this.#parts
    const { term } = holder
    if (!term) return
    const all = replicas()
    const { epoch } = this.#parts.position()
    const here = all.filter((each) => each.connected && each.via === undefined)
    const nowMs = monotonicMs()
    for (const { node } of here) this.#seenMs.set(node, nowMs)
    const gone = term.counted.filter((node) => this.#isGone(node, nowMs))
    const stay = term.counted.filter((node) => !gone.includes(node))
    // Only who stands in this epoch: who is counted and does not was put back since.
    const come = here
      .filter((each) => each.epoch === epoch && !term.counted.includes(each.node))
      .map(({ node }) => node)
    const counted = [...stay, ...come].slice(0, MAX_COUNTED_NODES).sort()
    // What was not answered the last time may have been written: then it is written again.
    const isKnown = this.#leaving.size === 0
    if (counted.length === term.counted.length && gone.length === 0 && isKnown) return
    // From before the list says so, and until it is certain what it says.
    this.#leaving = new Set([...this.#leaving, ...gone])
    const last = gone.map((node) => this.#lastOf(node, all))
    const floor = last.reduce((most, each) => (isFurther(each, most) ? each : most), term.floor)
    await holder.count(counted, floor)
    this.#leaving = new Set()
    for (const node of gone) this.#seenMs.delete(node)
  }

  #isGone(node: string, nowMs: number): boolean {
    const seenMs = this.#seenMs.get(node)
    if (seenMs === undefined) this.#seenMs.set(node, nowMs)
    return nowMs - (seenMs ?? nowMs) > PATIENCE * this.#parts.ttlMs
  }

  /** Up to where that replica may have confirmed. */
  #lastOf(node: string, all: readonly ReplicaStatus[]): Position {
    const known = all.find((each) => each.node === node)
    if (!known || known.epoch === null || known.txid === null) return this.#parts.position()
    return { epoch: known.epoch, txid: known.txid }
  }
}
