/** Measures what `replicaCauses` explains. */
import type { Cause } from '../api/cause.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { ReplicaObserver } from '../replica/replicaOptions.ts'
import type { LongReaders } from '../sqlite/longReaders.ts'
import { LAG_MS } from './feedCauses.ts'
import { LinkSampler, WalSampler } from './feedSampler.ts'
import { replicaCauses } from './replicaCauses.ts'
import { Rate, Silence, Streak } from './streak.ts'

/**
 * An older batch does not tell how far behind the replica is now. A slow link may take that long
 * for the next batch.
 */
const BATCH_VALID_MS = 4000

/** Where the replica stands at one look. */
export interface ReplicaSample {
  readonly follows: string
  readonly isRelayed: boolean
  readonly txid: number
  readonly connected: boolean
  /** Time since anything came over the connection; 0 while received bytes wait. */
  readonly silentMs: number
  readonly lastError: string
  readonly isFirstCopy: boolean
  readonly isReplacing: boolean
  readonly pageSize: number
  readonly leaderPageSize: number
  readonly walBytes: number
  /** Its WAL stays below this size while nothing is wrong. */
  readonly usualWalBytes: number
  readonly queuedBytes: number
  readonly lagMs: number
  readonly sourceStaleMs: number
}

export class ReplicaSampler {
  readonly #wal: WalSampler
  readonly #links: LinkSampler
  readonly #disconnected = new Streak()
  readonly #behind = new Streak()
  readonly #queued = new Streak()
  readonly #silence = new Silence()
  readonly #applied = new Rate()
  readonly #applying = new Rate()
  #handledBytes = 0
  #applyMs = 0
  /** Lag of the last batch, and the time of the first look after it. */
  #batchLagMs = 0
  #batchSeenMs = 0
  #isNewBatch = false

  constructor(list: ReplicaList, readers: LongReaders) {
    this.#wal = new WalSampler(readers)
    this.#links = new LinkSampler(list)
  }

  onCheckpoint(complete: boolean): void {
    this.#wal.onCheckpoint(complete)
  }

  /** Bytes were received and handled. On the hot path. */
  onReceived(bytes: number): void {
    this.#handledBytes += bytes
  }

  /** A batch became visible. On the hot path. */
  onApplied({
    applyMs,
    lagMs,
  }: Pick<Parameters<ReplicaObserver['onApplied']>[0], 'applyMs' | 'lagMs'>): void {
    this.#applyMs += applyMs
    this.#batchLagMs = lagMs
    this.#isNewBatch = true
  }

  look(now: ReplicaSample, nowMs: number): Cause[] {
    const { connected, isFirstCopy, queuedBytes, silentMs } = now
    const lagMs = Math.max(now.lagMs, this.#recentBatchLagMs(nowMs))
    const isBehind = connected && !isFirstCopy && lagMs >= LAG_MS
    return replicaCauses({
      ...now,
      ...this.#wal.look(now.walBytes, now.usualWalBytes, nowMs),
      ...this.#links.look(now.txid, nowMs),
      lagMs,
      disconnectedMs: this.#disconnected.look(!connected, nowMs),
      downMs: this.#silence.look(connected && !isFirstCopy ? silentMs : 0),
      behindMs: this.#behind.look(isBehind, nowMs),
      queuedMs: this.#queued.look(queuedBytes > 0, nowMs),
      appliedPerSecond: this.#applied.look(this.#handledBytes, nowMs),
      applyShare: Math.min(1, this.#applying.look(this.#applyMs, nowMs) / 1000),
    })
  }

  /**
   * A replica that gets one old batch after another has everything that it knows of after each, and
   * is behind all the same.
   */
  #recentBatchLagMs(nowMs: number): number {
    if (this.#isNewBatch) this.#batchSeenMs = nowMs
    this.#isNewBatch = false
    return nowMs - this.#batchSeenMs < BATCH_VALID_MS ? this.#batchLagMs : 0
  }
}
