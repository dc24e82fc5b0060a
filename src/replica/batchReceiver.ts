/** Handles each batch and each heartbeat that the leader streams. */
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Acknowledger } from './acknowledger.ts'
import type { CopySlot } from './copy/copySlot.ts'
import type { LagTracker } from './lag.ts'
import type { Downstream, ReplicaObserver } from './replicaOptions.ts'

export interface BatchReceiverParts {
  readonly slot: CopySlot
  readonly lag: LagTracker
  readonly acks: Acknowledger
  readonly clock: Clock
  readonly observer: ReplicaObserver
  /** Hears what was received. */
  readonly downstream: Downstream
}

export class BatchReceiver {
  readonly #parts: BatchReceiverParts
  /** When the last batch came; 0 before the first. */
  lastBatchMs = 0
  /** Pages of the batch so far. */
  #chunkPages = 0

  constructor(parts: BatchReceiverParts) {
    this.#parts = parts
  }

  /** Applies a batch or a chunk of one. When it throws, nothing of the batch is visible. */
  onBatch(batch: Body<'batch'>, payload: Buffer, receivedMs: number, bytes: Buffer): void {
    const { slot, lag, acks, clock, observer, downstream } = this.#parts
    const { copy } = slot
    if (!copy)
      throw new WalcastError('MESSAGE_BAD', { detail: 'a batch came before the copy was whole' })
    this.lastBatchMs = receivedMs
    lag.onReceived(payload.length, batch.txid)
    const before = copy.applier.checksum
    const visible = copy.applier.applyBatch(batch, payload)
    downstream.onBatch(batch, payload, bytes, before)
    this.#chunkPages = batch.chunk === 0 ? batch.pages : this.#chunkPages + batch.pages
    if (!visible) return
    const visibleMs = clock.nowMs()
    const lagMs = lag.onApplied(batch.txid, batch, receivedMs, visibleMs)
    acks.onVisible()
    observer.onApplied({
      pages: this.#chunkPages,
      applyMs: visibleMs - receivedMs,
      lagMs,
      position: copy.applier.position,
    })
    copy.checkpoints.onApplied()
  }

  onHeartbeat({ txid, timeMs, staleMs }: Body<'heartbeat'>): void {
    const { lag, acks, observer, downstream } = this.#parts
    lag.onLeaderAt(txid, timeMs, staleMs)
    observer.onLeaderAt()
    downstream.onHeartbeat()
    acks.soon()
  }
}
