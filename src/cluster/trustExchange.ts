/**
 * Brings the trust records of all members to the same state. Two members exchange their records,
 * and each joins what it gets to its own. It happens
 * - soon after the start, with all members: they may know what happened while this node was away;
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
import { keyOf, messageOf } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { random } from '../platform/random.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../platform/time.ts'
import type { Member } from './nodeRecord.ts'
import type { TrustChange, TrustFile } from './trustFile.ts'
import { trustDigest } from './trustMerge.ts'
import type { TrustRecord } from './trustRecord.ts'

export interface TrustExchangeLimits {
  /** How long after the start of this node, ms: the start has enough to do. */
  readonly startMs: number
  /** Changes within this time go out together, ms. */
  readonly gatherMs: number
  /** How often some member is asked, whatever is known of it, ms. */
  readonly roundMs: number
  /** Pauses after failed attempts, ms. */
  readonly minRetryMs: number
  readonly maxRetryMs: number
  /** The least time between two exchanges with one member, ms. */
  readonly pauseMs: number
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

/** Members that hear of a change that another one told. */
const PASSED_ON_TO = 3

/** What this node knows of the record of another member. */
interface Known {
  /** As last told by the member itself; '' when unknown. */
  digest: string
  /** Whether it has to hear of this node's record. */
  isDue: boolean
  isUnderWay: boolean
  notBeforeMs: number
  readonly backoff: Backoff
  /** The last attempt failed. */
  hasFailed: boolean
  /** It gave no answer at all. */
  isAway: boolean
}

export class TrustExchange {
  readonly #parts: TrustExchangeParts
  readonly #known = new Map<string, Known>()
  readonly #round: Timer
  readonly #first: Timer
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
    this.#round = setTimer(() => this.#askSomeone(), spread(limits.roundMs)).unref()
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
    const known = this.#about(node)
    // It was away and is back, or knows something new: no need to wait for the next attempt.
    if (known.isAway || (known.hasFailed && digest !== known.digest)) known.notBeforeMs = 0
    known.digest = digest
    known.isDue = true
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
    if (members().some((member) => member.node === node)) this.#onMet(node, this.digest)
    return file.record
  }

  stop(): void {
    this.#isStopped = true
    this.#parts.file.off('changed', this.#onChanged)
    cancelTimer(this.#timer)
    cancelTimer(this.#round)
    cancelTimer(this.#first)
  }

  #tellAll(): void {
    for (const { node } of this.#parts.members()) this.#about(node).isDue ||= !this.#isLevel(node)
    this.#wake(0)
  }

  #tell({ from }: TrustChange): void {
    this.#forgetOthers()
    const members = this.#parts
      .members()
      .filter(({ node }) => node !== from && !this.#isLevel(node))
    const told = from === '' ? members : someOf(members, PASSED_ON_TO)
    for (const { node } of told) this.#about(node).isDue = true
    this.#wake(this.#parts.limits.gatherMs)
  }

  /** Whether a member is known to know the same. */
  #isLevel(node: string): boolean {
    return this.#known.get(node)?.digest === this.digest
  }

  #askSomeone(): void {
    this.#round.refresh()
    const [member] = someOf(this.#parts.members(), 1)
    if (member === undefined || !this.#parts.isReady()) return
    const known = this.#about(member.node)
    known.isDue ||= !known.isUnderWay
    this.#wake(0)
  }

  #about(node: string): Known {
    const known = this.#known.get(node)
    if (known) return known
    const { minRetryMs, maxRetryMs } = this.#parts.limits
    const fresh: Known = {
      digest: '',
      isDue: false,
      isUnderWay: false,
      notBeforeMs: 0,
      backoff: new Backoff(minRetryMs, maxRetryMs),
      hasFailed: false,
      isAway: false,
    }
    this.#known.set(node, fresh)
    return fresh
  }

  /** As many are known as there are members. */
  #forgetOthers(): void {
    const there = new Set(this.#parts.members().map(({ node }) => node))
    for (const [node, { isUnderWay }] of this.#known)
      if (!there.has(node) && !isUnderWay) this.#known.delete(node)
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
        const known = this.#known.get(node)
        return known?.isDue && !known.isUnderWay
      }),
      Infinity,
    )
    let nextMs = Infinity
    for (const member of due) {
      const { notBeforeMs } = this.#about(member.node)
      if (notBeforeMs > nowMs) nextMs = Math.min(nextMs, notBeforeMs)
      else if (this.#underWay < this.#parts.limits.atOnce) void this.#exchange(member)
    }
    if (nextMs < Infinity) this.#wake(nextMs - nowMs)
  }

  /** Never throws. */
  async #exchange(member: Member): Promise<void> {
    const { node } = member
    const known = this.#about(node)
    this.#underWay++
    known.isUnderWay = true
    known.isDue = false
    try {
      await this.#meet(member, this.#parts.file.record)
    } catch (error) {
      this.#onFailed(member, error)
    } finally {
      known.isUnderWay = false
      this.#underWay--
      this.#wake(0)
    }
  }

  async #meet(member: Member, sent: TrustRecord): Promise<void> {
    const { file, log, exchange } = this.#parts
    const theirs = await exchange(member, sent)
    if (this.#isStopped) return
    const isSent = file.record === sent
    await file.learn(theirs, member.node)
    const known = this.#about(member.node)
    if (known.hasFailed) log.debug({ node: member.node }, 'exchanges keys and members again')
    this.#onMet(member.node, trustDigest(theirs))
    // Both have what the other one had, and yet they differ: asking again at once does not help.
    if (known.isDue && isSent) known.notBeforeMs = monotonicMs() + known.backoff.nextMs()
  }

  /** The member has a record of this digest. It stays due while that is not this node's. */
  #onMet(node: string, digest: string): void {
    const known = this.#about(node)
    known.digest = digest
    known.hasFailed = false
    known.isAway = false
    known.isDue = digest !== this.digest
    known.notBeforeMs = monotonicMs() + this.#parts.limits.pauseMs
    if (!known.isDue) known.backoff.reset()
  }

  #onFailed({ node, address }: Member, error: unknown): void {
    const known = this.#about(node)
    known.isDue = true
    known.notBeforeMs = monotonicMs() + known.backoff.nextMs()
    known.isAway = keyOf(error) === 'NODE_UNREACHABLE'
    if (known.hasFailed || this.#isStopped) return
    known.hasFailed = true
    // That a node is away is told elsewhere.
    this.#parts.log[known.isAway ? 'debug' : 'warn'](
      { node, address, error: messageOf(error) },
      'could not exchange keys and members; trying again',
    )
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
