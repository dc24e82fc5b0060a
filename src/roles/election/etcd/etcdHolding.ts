/**
 * The lease of the leader in etcd, and the value beside it. The lease and the value change in one
 * transaction, which compares first: a node that does not hold the lease, or has not seen the
 * newest value, writes nothing.
 *
 * A request whose answer is lost may be carried out later, by a member of etcd that stood still.
 * So each write compares the revision of the value too: such a request finds another revision when
 * anything else was written meanwhile. A node that meets its own write knows it again.
 */
import { Backoff } from '../../../platform/backoff.ts'
import { delay, monotonicMs } from '../../../platform/time.ts'
import { type Lease, type Look, MAX_ELECTION_BYTES } from '../leaseService.ts'
import {
  base64,
  type EtcdKey,
  type EtcdMessage,
  EtcdRefusal,
  rangeAt,
  readLease,
  readTxn,
  revisionOf,
  textOf,
  WrongAnswer,
} from './etcdAnswers.ts'
import type { EtcdGateway } from './etcdGateway.ts'
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

/** Attempts of one write whose value another request of the same lease has changed. */
const MAX_WRITES = 3
const REVOKE_AGAIN_MS = 200
const REVOKE_AGAIN_MAX_MS = 2_000

interface Found {
  readonly holder: EtcdKey | undefined
  readonly written: EtcdKey | undefined
}

/** What a mark of a free lease says. */
interface Seen {
  /** `0`: there was no value. */
  readonly revision: string
  readonly value: string
}

export class EtcdHolding {
  readonly #gateway: EtcdGateway
  readonly #keys: EtcdKeys
  readonly #own: { readonly node: string; readonly ttlMs: number }
  /** The lease that was taken here, and the revision of the value as this object knows it. */
  #taken: { readonly id: string; readonly revision: string } | undefined

  constructor(
    gateway: EtcdGateway,
    keys: EtcdKeys,
    own: { readonly node: string; readonly ttlMs: number },
  ) {
    this.#gateway = gateway
    this.#keys = keys
    this.#own = own
  }

  /** Both keys at one revision, which is no older than this call. */
  async look(): Promise<Look> {
    const { messages } = await this.#gateway.call(transaction([], this.#reads()))
    const { holder, written } = foundIn(messages[0])
    if (written) requireShort(written.value)
    return {
      value: written?.value,
      isHeld: holder !== undefined,
      mark: markOf(holder, written),
    }
  }

  async take(mark: string, value: string): Promise<Lease | undefined> {
    requireOwnShort(value)
    const seen = seenIn(mark)
    // The lease was held then: it is still, or something has changed.
    if (!seen) return undefined
    const untilMs = this.#gateway.deadlineMs()
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

  async renew(
    lease: Lease,
    /** Another lease to keep by the same request. */
    other: string | undefined,
  ): Promise<{ readonly kept: Lease | undefined; readonly isOtherKept: boolean }> {
    const { id } = lease
    const request = leaseKeepAlive(other === undefined ? [id] : [id, other])
    const { messages, sentMs } = await this.#gateway.call(request)
    const answers = messages.map(readLease)
    const own = answers.find((answer) => answer.id === id)
    if (!own) throw new WrongAnswer('it is about another lease')
    return {
      kept: own.ttlMs === 0 ? undefined : { id, ttlMs: own.ttlMs, sentMs },
      isOtherKept: answers.some((answer) => answer.id === other && answer.ttlMs > 0),
    }
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
    const { messages } = await this.#gateway.call(
      transaction(
        [
          isMissing(lead),
          changedAt(key, seen.revision),
          ...(seen.revision === '0' ? [] : [holds(key, seen.value)]),
        ],
        [write(lead, this.#own.node, lease.id), write(key, value)],
        this.#reads(),
      ),
      untilMs,
    )
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
 * Revision of the holder's key, that of the value, and the value itself, in base64. Revisions begin
 * anew in an etcd that was restarted empty, and come again in one that was restored.
 */
function markOf(holder: EtcdKey | undefined, written: EtcdKey | undefined): string {
  const revisions = `${holder?.modRevision ?? 0}.${written?.modRevision ?? 0}`
  return `${revisions}.${base64(written?.value ?? '')}`
}

/** Undefined when the lease was held. */
function seenIn(mark: string): Seen | undefined {
  const [holder, revision, value = ''] = mark.split('.')
  return holder === '0' && revision !== undefined ? { revision, value: textOf(value) } : undefined
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
