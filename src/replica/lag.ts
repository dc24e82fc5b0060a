/**
 * How far a replica is behind. The offset measured on the stream corrects every reading of the
 * leader's clock.
 */
import type { Body } from '../../proto/messages.ts'
import type { Clock } from '../platform/clock.ts'
import { ClockOffset } from './clockOffset.ts'
import { LagWindow, type Percentiles, WINDOW_SECONDS } from './lagWindow.ts'

export const STAGES = ['noticed', 'sent', 'received', 'applied'] as const
export type Stage = (typeof STAGES)[number]

/** Readings of the leader's clock. */
export interface BatchTimes {
  readonly noticeMs: number
  readonly noticedMs: number
  readonly sentMs: number
}

/** After so many heartbeats of silence the replica no longer counts as level. */
const SILENT_HEARTBEATS = 3
/** A level replica reports the lag of its last batch for this long. */
const RECENT_MS = 2000

export class LagTracker {
  readonly #clock: Clock
  readonly offset = new ClockOffset()
  readonly #total: LagWindow
  readonly #stages: Readonly<Record<Stage, LagWindow>>
  #connected = false
  #heartbeatMs = 250
  #lastHeardMs = 0
  /** When the leader stood at the position that this replica last heard. */
  #toldMs = 0
  #lastLevelMs = 0
  /** When the last proof held that nothing was missing; 0 before the first proof. */
  #provenMs = 0
  #txid = 0
  #leaderTxid = 0
  #lastLagMs = 0
  #lastAppliedMs = 0
  #behindBytes = 0
  #sourceStaleMs = 0
  /** `#leaderTxid` counts in this epoch and this incarnation. */
  #epoch = 0
  #incarnation = ''
  /** The leader's process; '' until the leader itself has sent a welcome. */
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

  /** The lag to show: the present one, or that of a batch applied within the last RECENT_MS. */
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
   * Positions of the sender's epoch and incarnation follow. The leader's known txid stays until
   * another epoch, incarnation or process of the leader begins: a process that lost power may lack
   * commits that the one before had announced. A welcome proves nothing: the leader may have
   * commits that it has not captured. The next heartbeat counts them.
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

  /** Any message arrived: the leader is alive. */
  onHeard(nowMs: number): void {
    this.#lastHeardMs = nowMs
  }

  /**
   * The leader stood at `txid` at the time `leaderMs - staleMs` of its clock. `staleMs` is above 0
   * when a relay passes on what it heard earlier. An older message that arrives later, through
   * another node, takes nothing back.
   */
  onLeaderAt(txid: number, leaderMs: number, staleMs: number): void {
    this.#sourceStaleMs = staleMs
    this.#leaderTxid = Math.max(this.#leaderTxid, txid)
    this.#onTold(leaderMs, this.#lastHeardMs, staleMs)
  }

  /** Age of the last heard leader position at its sender; 0 when the leader itself sent it. */
  get sourceStaleMs(): number {
    return this.#sourceStaleMs
  }

  /** The highest txid that the leader is known to have. */
  get leaderTxid(): number {
    return this.#leaderTxid
  }

  /** Age of the newest known leader position; infinite before the first. */
  get toldAgoMs(): number {
    if (this.#toldMs === 0) return Number.POSITIVE_INFINITY
    return this.#clock.nowMs() - this.#toldMs
  }

  /**
   * Reads wait for what the leader says after they came, so this errs to an earlier time only: a
   * position that was told before may lack what they ask for. Before the first ping of a connection
   * is answered nothing tells when its messages were sent.
   */
  #onTold(leaderMs: number, receivedMs: number, staleMs: number): void {
    const { mostAheadMs } = this.offset
    if (mostAheadMs !== undefined) {
      const atMs = Math.min(receivedMs, leaderMs - mostAheadMs) - staleMs
      this.#toldMs = Math.max(this.#toldMs, atMs)
    }
    if (this.#txid >= this.#leaderTxid) this.#onLevel()
  }

  /** Nothing was missing at the time of the last heard leader position. */
  #onLevel(): void {
    this.#provenMs = Math.max(this.#provenMs, this.#toldMs)
    this.#lastLevelMs = Math.max(this.#lastLevelMs, this.#toldMs)
  }

  onReceived(bytes: number, txid: number): void {
    this.#behindBytes += bytes
    if (txid > this.#leaderTxid) this.#leaderTxid = txid
  }

  /** The position changed without a measured batch, as after a start or a resync. */
  onAt(txid: number): void {
    this.#txid = txid
    this.#behindBytes = 0
    if (txid >= this.#leaderTxid) this.#onLevel()
  }

  /** A batch became visible. Both times are of this node's clock. Returns the batch's lag. */
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
    this.#onTold(times.sentMs, receivedMs, 0)
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
   * Time since the last proof that nothing was missing here. Unlike `lagMs` it never assumes that
   * the replica is level.
   */
  staleMs(): number {
    return this.#provenMs === 0 ? Number.POSITIVE_INFINITY : this.#clock.nowMs() - this.#provenMs
  }

  /** The cheap part of the report: no percentiles. */
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
