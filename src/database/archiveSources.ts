/** The engines as an archiver sees them. */
import { payloadPageNumber } from '../../proto/codec.ts'
import { trailOf } from '../../proto/lineage.ts'
import type { ArchiveSource } from '../backup/archiveSource.ts'
import type { BatchFollower } from '../backup/batchFollower.ts'
import type { Leader } from '../leader/leader.ts'
import type { Replica } from '../replica/replica.ts'
import type { Downstream } from '../replica/replicaOptions.ts'
import type { EngineParts } from './engine.ts'

export function leaderSource(
  leader: Leader,
  { nodeFile, clock, replicas }: EngineParts,
): ArchiveSource {
  return {
    role: 'leader',
    state: () => leader.state,
    historyAt(txid) {
      const { incarnation, epoch } = leader.position
      const { lineage } = nodeFile.record
      const begun = lineage.findLast(({ id }) => id === incarnation)
      // What is captured now; only batches from before a restart are older.
      if (!begun || txid > begun.txid) return { incarnation, epoch }
      const [passed] = [...trailOf(leader.position, lineage)]
        .filter((point) => point.txid >= txid)
        .reverse()
      return passed ?? { incarnation, epoch }
    },
    batchesAfter: (state) => leader.batchesAfter(state),
    leaderMs: () => clock.nowMs(),
    leaderAddress: () => undefined,
    hasReplicas: () => replicas.list().length > 0,
    look: () => leader.look(),
  }
}

export function replicaSource(replica: Replica, { clock }: EngineParts): ArchiveSource {
  return {
    role: 'replica',
    state: () => replica.feedable,
    historyAt: () => replica.position,
    batchesAfter: () => undefined,
    leaderMs: () => clock.nowMs() + replica.lag.offset.offsetMs,
    leaderAddress: () => replica.source.address || replica.leaderAddress,
    hasReplicas: () => false,
    look() {},
  }
}

/** Hands what a replica received to the follower as well. */
export function following(relay: Downstream, follower: BatchFollower): Downstream {
  return {
    onBatch(batch, payload, message, before) {
      relay.onBatch(batch, payload, message, before)
      const { fromTxid, txid, checksum, last, noticeMs, pages } = batch
      follower.onBatch({
        from: { txid: fromTxid, checksum: before },
        txid,
        checksum,
        last,
        noticeMs,
        pageNumbers: Array.from({ length: pages }, (_, i) => payloadPageNumber(payload, i)),
        message: Buffer.from(message),
      })
    },
    onHeartbeat: () => relay.onHeartbeat(),
    onDisconnected() {
      relay.onDisconnected()
      follower.onRestart()
    },
    onTwin: (twin) => relay.onTwin(twin),
    onUnsettled() {
      relay.onUnsettled()
      follower.onRestart()
    },
  }
}
