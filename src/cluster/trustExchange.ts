/**
 * Brings the trust records of all members to the same state. Two members exchange their records,
 * and each joins what it gets to its own. It happens
 * - at the start with a few, and soon after it with all members: they may know what happened while
 *   this node was away, such as a new secret, with which the next request is signed;
 * - soon after a change of this node's own, with all members;
 * - after a change that another member told, with a few, in case that member cannot reach all;
 * - when a member tells a digest that differs from this node's;
 * - now and then with some member, whatever is known of it.
 *
 * No leader is needed. An exchange that fails is tried again, with growing pauses, for as long as
 * the member has not been seen to know the same. Nothing here waits for another node, and a member
 * that answers nonsense costs an attempt now and then.
 */
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import { random } from '../platform/random.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../platform/time.ts'
import type { Member } from './nodeRecord.ts'
import { type ContactPauses, TrustContact } from './trustContact.ts'
import type { TrustChange, TrustFile } from './trustFile.ts'
import { trustDigest } from './trustMerge.ts'
import type { TrustRecord } from './trustRecord.ts'

export interface TrustExchangeLimits extends ContactPauses {
  /** How long after the start of this node, ms: the start has enough to do. */
  readonly startMs: number
  /** Changes within this time go out together, ms. */
  readonly gatherMs: number
  /** How often some member is asked, whatever is known of it, ms. */
  readonly roundMs: number
  /** Exchanges under way at once. */
  readonly atOnce: number
}

export const TRUST_EXCHANGE_LIMITS: TrustExchangeLimits = {
  startMs: 1000,
  gatherMs: 20,
  roundMs: 30_000,
  minRetryMs: 1000,
  maxRetryMs: 60_000,
  pauseMs: 100,
  atOnce: 8,
}

/** The part of a trust file that an exchange needs. */
export interface TrustStore extends Pick<TrustFile, 'record' | 'learn'> {
  on(event: 'changed', then: (change: TrustChange) => void): unknown
  off(event: 'changed', then: (change: TrustChange) => void): unknown
}

export interface TrustExchangeParts {
  readonly file: TrustStore
  readonly log: Logger
  readonly limits: TrustExchangeLimits
  /** The other members that this node can reach, none of them removed. */
  members(): readonly Member[]
  /** Sends this record to a member, and gives the one that the member then has. Bounded in time. */
  exchange(member: Member, record: TrustRecord): Promise<TrustRecord>
  /** Whether this node knows its cluster and has a secret. Asked before each exchange. */
  isReady(): boolean
}

/** A member that was told of a change, and why it may not know it yet. */
export interface ToldMember extends Member {
  /** Undefined: it has the change. */
  readonly error: string | undefined
}

/** Members that hear of a change that another one told, and that are asked first at a start. */
const PASSED_ON_TO = 3

export class TrustExchange {
  readonly #parts: TrustExchangeParts
  readonly #contacts = new Map<string, TrustContact>()
  readonly #round: Timer
  readonly #first: Timer
  readonly #early: Timer
  readonly #onChanged = (change: TrustChange): void => this.#tell(change)
  #timer: Timer | undefined
  #wakeAtMs = Infinity
  #underWay = 0
  #isStopped = false
  #digestOf: TrustRecord | undefined
  #digest = ''

  constructor(parts: TrustExchangeParts) {
    this.#parts = parts
    const { file, limits } = parts
    file.on('changed', this.#onChanged)
    this.#round = setTimer(() => this.#nextRound(), spread(limits.roundMs)).unref()
    this.#early = setTimer(() => this.#ask(PASSED_ON_TO), 0).unref()
    this.#first = setTimer(() => this.#tellAll(), spread(limits.startMs)).unref()
  }

  /** Digest of this node's record: what other members compare with theirs. */
  get digest(): string {
    const { record } = this.#parts.file
    if (record !== this.#digestOf) {
      this.#digestOf = record
      this.#digest = trustDigest(record)
    }
    return this.#digest
  }

  /** A member told its digest, or whoever answered for it. Cheap. */
  onDigest(node: string, digest: string): void {
    if (this.#isStopped || digest === '' || digest === this.digest) return
    if (!this.#parts.members().some((member) => member.node === node)) return
    this.#contact(node).onDigest(digest)
    this.#wake(0)
  }

  /**
   * The other side of an exchange: takes over what a member sent, and gives what it should know.
   * Throws TRUST_REFUSED.
   */
  async take(node: string, theirs: TrustRecord): Promise<TrustRecord> {
    const { file, members } = this.#parts
    await file.learn(theirs, node)
    // Once it has the answer, it knows the same.
    if (members().some((member) => member.node === node))
      this.#contact(node).onMet(this.digest, this.digest)
    return file.record
  }

  /**
   * Tells all members what this node knows now, whatever is known of them. Resolves when each has
   * answered or failed. A member that failed is asked again later, as in each exchange.
   */
  async tellAllNow(): Promise<ToldMember[]> {
    const left = [...this.#parts.members()]
    const told: ToldMember[] = []
    const tellNext = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift())
        told.push({ ...next, error: await this.#tellNow(next) })
    }
    const atOnce = Math.min(this.#parts.limits.atOnce, left.length)
    await Promise.all(Array.from({ length: atOnce }, tellNext))
    return told
  }

  async #tellNow(member: Member): Promise<string | undefined> {
    const contact = this.#contact(member.node)
    try {
      await this.#meet(member, contact, this.#parts.file.record)
      return undefined
    } catch (error) {
      contact.onFailed(error)
      this.#wake(0)
      return messageOf(error)
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#parts.file.off('changed', this.#onChanged)
    cancelTimer(this.#timer)
    cancelTimer(this.#round)
    cancelTimer(this.#first)
    cancelTimer(this.#early)
  }

  #tellAll(): void {
    for (const { node } of this.#parts.members()) this.#contact(node).isDue ||= !this.#isLevel(node)
    this.#wake(0)
  }

  #tell({ from }: TrustChange): void {
    this.#forgetOthers()
    const members = this.#parts
      .members()
      .filter(({ node }) => node !== from && !this.#isLevel(node))
    const told = from === '' ? members : someOf(members, PASSED_ON_TO)
    for (const { node } of told) this.#contact(node).isDue = true
    this.#wake(this.#parts.limits.gatherMs)
  }

  /** Whether a member is known to know the same. */
  #isLevel(node: string): boolean {
    return this.#contacts.get(node)?.isLevel(this.digest) === true
  }

  #nextRound(): void {
    this.#round.refresh()
    this.#ask(1)
  }

  /** Exchanges with so many members, whatever is known of them. */
  #ask(count: number): void {
    if (!this.#parts.isReady()) return
    for (const { node } of someOf(this.#parts.members(), count)) {
      const contact = this.#contact(node)
      contact.isDue ||= !contact.isUnderWay
    }
    this.#wake(0)
  }

  #contact(node: string): TrustContact {
    const known = this.#contacts.get(node)
    if (known) return known
    const fresh = new TrustContact(this.#parts.limits)
    this.#contacts.set(node, fresh)
    return fresh
  }

  /** As many are known as there are members. */
  #forgetOthers(): void {
    const there = new Set(this.#parts.members().map(({ node }) => node))
    for (const [node, { isUnderWay }] of this.#contacts)
      if (!there.has(node) && !isUnderWay) this.#contacts.delete(node)
  }

  /** Looks for members that are due, `afterMs` from now or earlier. */
  #wake(afterMs: number): void {
    const atMs = monotonicMs() + afterMs
    if (this.#isStopped || atMs >= this.#wakeAtMs) return
    cancelTimer(this.#timer)
    this.#wakeAtMs = atMs
    this.#timer = setTimer(() => {
      this.#wakeAtMs = Infinity
      this.#start()
    }, afterMs).unref()
  }

  #start(): void {
    if (this.#isStopped || !this.#parts.isReady()) return
    const nowMs = monotonicMs()
    const due = someOf(
      this.#parts.members().filter(({ node }) => {
        const contact = this.#contacts.get(node)
        return contact?.isDue && !contact.isUnderWay
      }),
      Infinity,
    )
    let nextMs = Infinity
    for (const member of due) {
      const { notBeforeMs } = this.#contact(member.node)
      if (notBeforeMs > nowMs) nextMs = Math.min(nextMs, notBeforeMs)
      else if (this.#underWay < this.#parts.limits.atOnce) void this.#exchange(member)
    }
    if (nextMs < Infinity) this.#wake(nextMs - nowMs)
  }

  /** Never throws. */
  async #exchange(member: Member): Promise<void> {
    const { node, address } = member
    const { file, log } = this.#parts
    const contact = this.#contact(node)
    this.#underWay++
    contact.isUnderWay = true
    contact.isDue = false
    try {
      await this.#meet(member, contact, file.record)
    } catch (error) {
      const isFirst = contact.onFailed(error)
      // That a node is away is told elsewhere.
      if (isFirst && !this.#isStopped)
        log[contact.isAway ? 'debug' : 'warn'](
          { node, address, error: messageOf(error) },
          'could not exchange keys and members; trying again',
        )
    } finally {
      contact.isUnderWay = false
      this.#underWay--
      this.#wake(0)
    }
  }

  async #meet(member: Member, contact: TrustContact, sent: TrustRecord): Promise<void> {
    const { file, exchange } = this.#parts
    const theirs = await exchange(member, sent)
    if (this.#isStopped) return
    const isSent = file.record === sent
    await file.learn(theirs, member.node)
    contact.onMet(trustDigest(theirs), this.digest)
    // Both have what the other one had, and yet they differ.
    if (contact.isDue && isSent) contact.backOff()
  }
}

/** Some of them, at random. */
function someOf<Entry>(entries: readonly Entry[], count: number): Entry[] {
  const left = [...entries]
  for (let at = left.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    ;[left[at], left[other]] = [left[other], left[at]]
  }
  return left.slice(0, count)
}

/** Nodes that start together do not ask together. */
function spread(everyMs: number): number {
  return everyMs * (0.75 + random() / 2)
}
