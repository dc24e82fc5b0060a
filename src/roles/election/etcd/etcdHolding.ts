/**
 * The lease of the leader in etcd, and the value beside it. The lease and the value change in one
 * transaction, which compares first: a node that does not hold the lease, or has not seen the
 * newest value, writes nothing.
 *
 * A request whose answer is lost may be carried out later, by a member of etcd that stood still.
 * So each write compares the revision of the value too: such a request finds another revision when
 * anything else was written meanwhile. A node that meets its own write knows it again.
 */
import { createHash } from 'node:crypto'
import { Backoff } from '../../../platform/backoff.ts'
import { delay, monotonicMs } from '../../../platform/time.ts'
import { type Lease, type Look, MAX_ELECTION_BYTES } from '../leaseService.ts'
import {
  type EtcdKey,
  type EtcdMessage,
  EtcdRefusal,
  etcdTermOf,
  rangeAt,
  readLease,
  readTxn,
  revisionOf,
  WrongAnswer,
} from './etcdAnswers.ts'
import type { EtcdGateway } from './etcdGateway.ts'
import { EtcdMembers } from './etcdMembers.ts'
import {
  changedAt,
  type EtcdKeys,
  holds,
  isMissing,
  isOnLease,
  leaseGrant,
  leaseKeepAlive,
  leaseRevoke,
  type Operation,
  read,
  remove,
  transaction,
  write,
} from './etcdRequests.ts'

const DIGEST_CHARS = 16
/** Attempts of one write whose value another request of the same lease has changed. */
const MAX_WRITES = 3
/** Attempts of a renewal during which etcd has elected another leader of its own. */
const MAX_RENEWALS = 3
const REVOKE_AGAIN_MS = 200
const REVOKE_AGAIN_MAX_MS = 2_000

interface Found {
  readonly holder: EtcdKey | undefined
  readonly written: EtcdKey | undefined
}

/** What the last look found. */
interface Seen extends Look {
  /** Of the value; `0`: there is none. */
  readonly revision: string
}

export class EtcdHolding {
  readonly #gateway: EtcdGateway
  readonly #keys: EtcdKeys
  readonly #members: EtcdMembers
  readonly #own: { readonly node: string; readonly ttlMs: number }
  #seen: Seen | undefined
  /** The lease that was taken here, and the revision of the value as this object knows it. */
  #taken: { readonly id: string; readonly revision: string } | undefined

  /** The lease that was released last. */
  #released: string | undefined

  constructor(
    gateway: EtcdGateway,
    keys: EtcdKeys,
    own: { readonly node: string; readonly ttlMs: number },
  ) {
    this.#gateway = gateway
    this.#keys = keys
    this.#members = new EtcdMembers(gateway)
    this.#own = own
  }

  /** Both keys at one revision, which is no older than this call. */
  async look(untilMs?: number): Promise<Look> {
    const { messages } = await this.#gateway.call(transaction([], this.#reads()), untilMs)
    const { holder, written } = foundIn(messages[0])
    if (written) requireShort(written.value)
    const mark = markOf(holder, written)
    const look = { value: written?.value, isHeld: holder !== undefined, mark }
    this.#seen = { ...look, revision: written?.modRevision ?? '0' }
    return look
  }

  async take(mark: string, value: string): Promise<Lease | undefined> {
    requireOwnShort(value)
    const untilMs = this.#gateway.deadlineMs()
    if (this.#seen?.mark !== mark) await this.look(untilMs)
    const seen = this.#seen
    // The lease was held then: it is still, or something has changed.
    if (seen?.mark !== mark || seen.isHeld) return undefined
    const granted = await this.#gateway.call(leaseGrant(this.#own.ttlMs), untilMs)
    const { id, ttlMs } = readLease(granted.messages[0])
    if (ttlMs === 0) throw new WrongAnswer('it grants a TTL of 0')
    const lease = { id, ttlMs, sentMs: granted.sentMs }
    let isTaken = false
    try {
      isTaken = await this.#takeWith(lease, seen, value, untilMs)
    } finally {
      // It may hold the key: the answer may be lost.
      if (!isTaken) void this.#end(lease)
    }
    return isTaken ? lease : undefined
  }

  /**
   * The leader of etcd answers a renewal without asking its other members. So a read follows that
   * asks them: in the same term of etcd, the one that renewed the lease was its leader until then.
   */
  async renew({ id }: Lease): Promise<Lease | undefined> {
    // Etcd may keep it for a moment longer.
    if (id === this.#released) return undefined
    const untilMs = this.#gateway.deadlineMs()
    for (let attempt = 1; attempt <= MAX_RENEWALS; attempt++) {
      const { messages, sentMs } = await this.#gateway.call(leaseKeepAlive(id), untilMs)
      const { id: keptId, ttlMs } = readLease(messages[0])
      if (keptId !== id) throw new WrongAnswer('it is about another lease')
      if (ttlMs === 0) return undefined
      const lease = { id, ttlMs, sentMs }
      if (await this.#members.isSingle(untilMs)) return lease
      const isHeld = transaction([isOnLease(this.#keys.lead, id)], [], this.#reads())
      const [proof] = (await this.#gateway.call(isHeld, untilMs)).messages
      if (!readTxn(proof).succeeded) return undefined
      if (etcdTermOf(proof) === etcdTermOf(messages[0])) return lease
    }
    throw new WrongAnswer('its own leader changes all the time')
  }

  async amend(lease: Lease, value: string): Promise<boolean> {
    requireOwnShort(value)
    const untilMs = this.#gateway.deadlineMs()
    const operations = [write(this.#keys.value, value)]
    for (let attempt = 1; attempt <= MAX_WRITES; attempt++) {
      const { isDone, holder, written } = await this.#writeHeld(lease, operations, untilMs)
      if (isDone) return true
      if (holder?.lease !== lease.id) return false
      // An earlier attempt has written it, and its answer was lost.
      if (written?.value === value) return true
    }
    throw new WrongAnswer('the value changes all the time')
  }

  async release(lease: Lease, value: string | undefined): Promise<boolean> {
    if (value !== undefined) requireOwnShort(value)
    const untilMs = this.#gateway.deadlineMs()
    const { lead, value: key } = this.#keys
    const operations = [...(value === undefined ? [] : [write(key, value)]), remove(lead)]
    for (let attempt = 1; attempt <= MAX_WRITES; attempt++) {
      const outcome = await this.#writeHeld(lease, operations, untilMs)
      const { isDone, isRepeated, holder, written } = outcome
      if (!isDone && holder?.lease === lease.id) continue
      if (this.#taken?.id === lease.id) this.#taken = undefined
      this.#released = lease.id
      void this.#end(lease)
      if (isDone || !isRepeated) return isDone
      // An earlier attempt may have done it, and its answer was lost.
      if (!holder && (value === undefined || written?.value === value)) return true
      throw new WrongAnswer('another node has written since')
    }
    throw new WrongAnswer('the value changes all the time')
  }

  async #takeWith(lease: Lease, seen: Seen, value: string, untilMs: number): Promise<boolean> {
    const { lead, value: key } = this.#keys
    // In an etcd that was restored, the revision may be the same, and the value another.
    const isAsSeen = seen.value === undefined ? [] : [holds(key, seen.value)]
    const compare = [isMissing(lead), changedAt(key, seen.revision), ...isAsSeen]
    const writes = [write(lead, this.#own.node, lease.id), write(key, value)]
    const request = transaction(compare, writes, this.#reads())
    const { messages } = await this.#gateway.call(request, untilMs)
    const { id } = lease
    if (readTxn(messages[0]).succeeded) {
      this.#taken = { id, revision: revisionOf(messages[0]) }
      return true
    }
    const { holder, written } = foundIn(messages[0])
    // An earlier attempt of this call has taken it, and its answer was lost.
    if (holder?.lease !== id) return false
    this.#taken = { id, revision: written?.modRevision ?? '0' }
    return true
  }

  /** One attempt; what it finds instead, it remembers for the next. */
  async #writeHeld(
    { id }: Lease,
    operations: readonly Operation[],
    untilMs: number,
  ): Promise<Found & { readonly isDone: boolean; readonly isRepeated: boolean }> {
    const { lead, value } = this.#keys
    const known = this.#taken?.id === id ? [changedAt(value, this.#taken.revision)] : []
    const { messages, isRepeated } = await this.#gateway.call(
      transaction([isOnLease(lead, id), ...known], operations, this.#reads()),
      untilMs,
    )
    const isDone = readTxn(messages[0]).succeeded
    const found = isDone ? { holder: undefined, written: undefined } : foundIn(messages[0])
    const revision = isDone ? revisionOf(messages[0]) : (found.written?.modRevision ?? '0')
    if (this.#taken?.id === id) this.#taken = { id, revision }
    return { ...found, isDone, isRepeated }
  }

  #reads(): readonly Operation[] {
    return [read(this.#keys.lead), read(this.#keys.value)]
  }

  /**
   * Ends a lease in the background, so that no other node waits for its TTL. Goes on until etcd
   * has answered, or the lease has ended by itself.
   */
  async #end({ id, ttlMs, sentMs }: Lease): Promise<void> {
    const backoff = new Backoff(REVOKE_AGAIN_MS, REVOKE_AGAIN_MAX_MS)
    while (monotonicMs() < sentMs + ttlMs && !this.#gateway.isClosed) {
      const isOver = await this.#gateway.call(leaseRevoke(id)).then(
        () => true,
        (error) => error instanceof EtcdRefusal,
      )
      if (isOver) return
      await delay(backoff.nextMs(), { ref: false })
    }
  }
}

function foundIn(message: EtcdMessage): Found {
  const { responses } = readTxn(message)
  return { holder: rangeAt(responses, 0).at(0), written: rangeAt(responses, 1).at(0) }
}

/**
 * Revision of the holder's key, that of the value, and a digest of the value. Revisions begin anew
 * in an etcd that was restarted empty, and come again in one that was restored.
 */
function markOf(holder: EtcdKey | undefined, written: EtcdKey | undefined): string {
  const digest = createHash('sha256')
    .update(written?.value ?? '')
    .digest('hex')
  const revisions = `${holder?.modRevision ?? 0}.${written?.modRevision ?? 0}`
  return `${revisions}.${digest.slice(0, DIGEST_CHARS)}`
}

function requireShort(value: string): void {
  const bytes = Buffer.byteLength(value)
  if (bytes > MAX_ELECTION_BYTES) throw new WrongAnswer(`its value has ${bytes} bytes`)
}

function requireOwnShort(value: string): void {
  const bytes = Buffer.byteLength(value)
  if (bytes > MAX_ELECTION_BYTES)
    throw new RangeError(`a value of ${bytes} bytes for ${MAX_ELECTION_BYTES}`)
}
