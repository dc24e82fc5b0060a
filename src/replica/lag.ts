/**
 * How far a replica is behind. Clock readings of the leader are corrected by the offset measured on
 * the stream.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Body } from '../../proto/messages.ts'
import type { Clock } from '../platform/clock.ts'

export const STAGES = ['noticed', 'sent', 'received', 'applied'] as const
export type Stage = (typeof STAGES)[number]

export interface Percentiles {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly count: number
}

const SLOT_MS = 10_000
const SLOTS = 6
export const WINDOW_SECONDS = (SLOT_MS * SLOTS) / 1000

/** Microseconds up to an hour, to two digits. */
function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 2 })
}

/**
 * Percentiles over the last minute: six histograms of ten seconds, the oldest of which is used
 * again. Values in ms, kept in us.
 */
export class LagWindow {
  readonly #clock: Clock
  readonly #slots = Array.from({ length: SLOTS }, newHistogram)
  readonly #ends = new Array<number>(SLOTS).fill(0)
  #current = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#ends[0] = clock.nowMs() + SLOT_MS
  }

  record(lagMs: number): void {
    this.#turn()
    this.#slots[this.#current].record(Math.max(1, Math.round(lagMs * 1000)))
  }

  percentiles(): Percentiles {
    this.#turn()
    const all = newHistogram()
    const oldestMs = this.#clock.nowMs() - SLOT_MS * (SLOTS - 1)
    for (let i = 0; i < SLOTS; i++) if (this.#ends[i] > oldestMs) all.add(this.#slots[i])
    return percentilesOf(all)
  }

  #turn(): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs < this.#ends[this.#current]) return
    this.#current = (this.#current + 1) % SLOTS
    this.#slots[this.#current].reset()
    this.#ends[this.#current] = nowMs + SLOT_MS
  }
}

function percentilesOf(histogram: RecordableHistogram): Percentiles {
  if (histogram.count === 0) return { p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0, count: 0 }
  const at = (percentile: number) => histogram.percentile(percentile) / 1000
  return {
    p50Ms: at(50),
    p95Ms: at(95),
    p99Ms: at(99),
    maxMs: histogram.max / 1000,
    count: histogram.count,
  }
}

/**
 * Offset of the leader's clock, from pings: the one with the shortest round trip of the last few
 * counts most.
 */
export class ClockOffset {
  readonly #samples: { readonly roundTripMs: number; readonly offsetMs: number }[] = []
  #isOfEarlier = false

  /**
   * Another process may answer on a new connection: what was measured before counts until something
   * is measured on this one.
   */
  onConnected(): void {
    this.#isOfEarlier = true
  }

  /** `leaderMs` was read between `sentMs` and `receivedMs` of this node's clock. */
  add(sentMs: number, leaderMs: number, receivedMs: number): void {
    if (this.#isOfEarlier) this.#samples.length = 0
    this.#isOfEarlier = false
    this.#samples.push({
      roundTripMs: receivedMs - sentMs,
      offsetMs: leaderMs - (sentMs + receivedMs) / 2,
    })
    if (this.#samples.length > 16) this.#samples.shift()
  }

  get isKnown(): boolean {
    return this.#samples.length > 0
  }

  /**
   * Leader's clock minus this node's, 0 before the first ping. A sample is wrong by up to half its
   * round trip; where the best one allows that the clocks agree, they are taken to agree.
   */
  get offsetMs(): number {
    let best = this.#samples[0]
    for (const sample of this.#samples) if (sample.roundTripMs < best.roundTripMs) best = sample
    if (!best || Math.abs(best.offsetMs) <= best.roundTripMs / 2) return 0
    return best.offsetMs
  }
}

export interface BatchTimes {
  /** The leader's clock. */
  readonly noticeMs: number
  readonly noticedMs: number
  readonly sentMs: number
}

/** Silence of the leader, in heartbeats, after which the replica no longer counts as level. */
const SILENT_HEARTBEATS = 3
/** For so long the lag of the last batch is told of a replica that is level. */
const RECENT_MS = 2000

export class LagTracker {
  readonly #clock: Clock
  readonly offset = new ClockOffset()
  readonly #total: LagWindow
  readonly #stages: Readonly<Record<Stage, LagWindow>>
  #connected = false
  #heartbeatMs = 250
  #lastHeardMs = 0
  /** When the leader stood where it was last told to stand. */
  #toldMs = 0
  #lastLevelMs = 0
  /** When it was last proved that nothing was missing; 0 before the first proof. */
  #provenMs = 0
  #txid = 0
  #leaderTxid = 0
  #lastLagMs = 0
  #lastAppliedMs = 0
  #behindBytes = 0
  #sourceStaleMs = 0
  /** Whose positions `#leaderTxid` counts. */
  #epoch = 0
  #incarnation = ''
  /** The leader's process, once the leader itself was heard. */
  #instance = ''

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastLevelMs = clock.nowMs()
    this.#total = new LagWindow(clock)
    this.#stages = {
      noticed: new LagWindow(clock),
      sent: new LagWindow(clock),
      received: new LagWindow(clock),
      applied: new LagWindow(clock),
    }
  }

  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  /**
   * What counts as the lag for those who look from outside: of what was applied just now, else as
   * it is.
   */
  get recentLagMs(): number {
    const isRecent = this.#clock.nowMs() - this.#lastAppliedMs < RECENT_MS
    return this.lagMs() || (isRecent ? this.#lastLagMs : 0)
  }

  onConnected(heartbeatMs: number): void {
    this.#connected = true
    this.#heartbeatMs = heartbeatMs
    this.offset.onConnected()
  }

  /**
   * Positions of the sender's epoch and incarnation follow. What the leader was told to have stays
   * until it is here, or until another epoch, incarnation or process of the leader begins: a
   * process that lost power may lack what the one before told of. A welcome proves nothing: the
   * leader may have commits that it has not captured. The heartbeat that follows tells of them.
   */
  onWelcome({ epoch, incarnation, instance, txid, source, node }: Body<'welcome'>): void {
    const isLeader = source === node
    const isOtherProcess = isLeader && this.#instance !== '' && instance !== this.#instance
    if (epoch !== this.#epoch || incarnation !== this.#incarnation || isOtherProcess) {
      this.#leaderTxid = 0
      this.#toldMs = 0
    }
    this.#epoch = epoch
    this.#incarnation = incarnation
    if (!isLeader) return
    this.#instance = instance
    this.#leaderTxid = Math.max(this.#leaderTxid, txid)
  }

  onDisconnected(): void {
    this.#sourceStaleMs = 0
    this.#connected = false
  }

  /** Any message: the leader lives. */
  onHeard(nowMs: number): void {
    this.#lastHeardMs = nowMs
  }

  /**
   * Where the leader stood `staleMs` before `leaderMs` of its clock: a node in between may have
   * heard of it earlier, and the message may have been long on its way. An older message that comes
   * later, through another node, takes nothing back.
   */
  onLeaderAt(txid: number, leaderMs: number, staleMs: number): void {
    this.#sourceStaleMs = staleMs
    this.#leaderTxid = Math.max(this.#leaderTxid, txid)
    const saidMs = this.offset.isKnown ? leaderMs - this.offset.offsetMs : this.#lastHeardMs
    this.#onTold(Math.min(this.#lastHeardMs, saidMs) - staleMs)
  }

  /** How old the leader's position was that was told last: 0 when the leader itself tells it. */
  get sourceStaleMs(): number {
    return this.#sourceStaleMs
  }

  /** The furthest that the leader is known to stand. */
  get leaderTxid(): number {
    return this.#leaderTxid
  }

  /** Time since the leader's position was known, infinite before the first. */
  get toldAgoMs(): number {
    if (this.#toldMs === 0) return Number.POSITIVE_INFINITY
    return this.#clock.nowMs() - this.#toldMs
  }

  #onTold(atMs: number): void {
    this.#toldMs = Math.max(this.#toldMs, atMs)
    if (this.#txid >= this.#leaderTxid) this.#onLevel()
  }

  /** Nothing was missing when the leader's position was told. */
  #onLevel(): void {
    this.#provenMs = Math.max(this.#provenMs, this.#toldMs)
    this.#lastLevelMs = Math.max(this.#lastLevelMs, this.#toldMs)
  }

  onReceived(bytes: number, txid: number): void {
    this.#behindBytes += bytes
    if (txid > this.#leaderTxid) this.#leaderTxid = txid
  }

  /** The position changed without a measured batch: after a start or a sync. */
  onAt(txid: number): void {
    this.#txid = txid
    this.#behindBytes = 0
    if (txid >= this.#leaderTxid) this.#onLevel()
  }

  /** A batch became visible. Times of this node's clock. Gives its lag. */
  onApplied(txid: number, times: BatchTimes, receivedMs: number, visibleMs: number): number {
    const skewMs = this.offset.offsetMs
    const lagMs = Math.max(0, visibleMs + skewMs - times.noticeMs)
    this.#total.record(lagMs)
    this.#stages.noticed.record(times.noticedMs - times.noticeMs)
    this.#stages.sent.record(times.sentMs - times.noticedMs)
    this.#stages.received.record(receivedMs + skewMs - times.sentMs)
    this.#stages.applied.record(visibleMs - receivedMs)
    this.#lastLagMs = lagMs
    this.#lastAppliedMs = visibleMs
    this.onAt(txid)
    this.#onTold(Math.min(receivedMs, times.sentMs - skewMs))
    return lagMs
  }

  /** 0 when level; grows with the clock while disconnected, stalled or behind. */
  lagMs(): number {
    const nowMs = this.#clock.nowMs()
    const silent = nowMs - this.#toldMs > SILENT_HEARTBEATS * this.#heartbeatMs
    if (this.#connected && !silent && this.#txid >= this.#leaderTxid) return 0
    return nowMs - this.#lastLevelMs
  }

  /**
   * Time since the last proof that nothing of the leader's was missing here. Unlike `lagMs` never 0
   * on trust.
   */
  staleMs(): number {
    return this.#provenMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.nowMs() - this.#provenMs
  }

  /** What is cheap to tell: no percentiles. */
  summary() {
    return {
      connected: this.#connected,
      txid: this.#txid,
      leaderTxid: this.#leaderTxid,
      txidLag: Math.max(0, this.#leaderTxid - this.#txid),
      bytesLag: this.#behindBytes,
      lagMs: this.lagMs(),
    }
  }

  report() {
    const stages = Object.fromEntries(
      STAGES.map((stage) => [stage, this.#stages[stage].percentiles()]),
    ) as Record<Stage, Percentiles>
    return {
      ...this.summary(),
      windowSeconds: WINDOW_SECONDS,
      ...this.#total.percentiles(),
      stages,
    }
  }
}
