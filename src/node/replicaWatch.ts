/** Measures what replicaCauses explains. */
import type { Cause } from '../http/cause.ts'
import type { ReplicaList } from '../leader/replicaList.ts'
import type { ReplicaObserver } from '../replica/replicaOptions.ts'
import type { LongReaders } from '../sqlite/longReaders.ts'
import { LAG_MS } from './feedCauses.ts'
import { LinkWatch, WalWatch } from './feedWatch.ts'
import { replicaCauses } from './replicaCauses.ts'
import { Rate, Streak } from './streak.ts'

/** Where the replica stands at one look. */
export interface ReplicaLook {
  readonly follows: string
  readonly isRelayed: boolean
  readonly connected: boolean
  readonly lastError: string
  readonly isSyncing: boolean
  readonly walBytes: number
  /** A size that its WAL stays below while nothing is wrong. */
  readonly usualWalBytes: number
  readonly queuedBytes: number
  readonly lagMs: number
  readonly sourceStaleMs: number
}

export class ReplicaWatch {
  readonly #wal: WalWatch
  readonly #links: LinkWatch
  readonly #disconnected = new Streak()
  readonly #behind = new Streak()
  readonly #queued = new Streak()
  readonly #applied = new Rate()
  readonly #applying = new Rate()
  #handledBytes = 0
  #applyMs = 0
  /** Of the last batch since the last look, 0 when none came. */
  #batchLagMs = 0

  constructor(list: ReplicaList, readers: LongReaders) {
    this.#wal = new WalWatch(readers)
    this.#links = new LinkWatch(list)
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
  }

  look(now: ReplicaLook, nowMs: number): Cause[] {
    const { connected, isSyncing, queuedBytes } = now
    // Whoever applies old batches one after the other holds each newest position it knows of, and is behind all the same.
    const lagMs = Math.max(now.lagMs, this.#batchLagMs)
    this.#batchLagMs = 0
    const isBehind = connected && !isSyncing && lagMs >= LAG_MS
    return replicaCauses({
      ...now,
      ...this.#wal.look(now.walBytes, now.usualWalBytes, nowMs),
      ...this.#links.look(nowMs),
      lagMs,
      disconnectedMs: this.#disconnected.look(!connected, nowMs),
      behindMs: this.#behind.look(isBehind, nowMs),
      queuedMs: this.#queued.look(queuedBytes > 0, nowMs),
      appliedPerSecond: this.#applied.look(this.#handledBytes, nowMs),
      applyShare: Math.min(1, this.#applying.look(this.#applyMs, nowMs) / 1000),
    })
  }
}
