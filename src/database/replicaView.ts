/** One database as the node sees it while it follows. */

import { containment, historyOf } from '../../proto/lineage.ts'
import { reachFrom } from '../api/positionWaits.ts'
import { WalcastError } from '../errors.ts'
import type { Relay } from '../feed/relay.ts'
import { ownAddress } from '../options/address.ts'
import type { Replica } from '../replica/replica.ts'
import type { BackgroundChecks } from './backgroundChecks.ts'
import type { EngineParts, EngineStatus, EngineView } from './engine.ts'
import { keptStatus } from './keptStatus.ts'

export function replicaView(
  replica: Replica,
  relay: Relay,
  checks: BackgroundChecks,
  { setup, nodeFile }: EngineParts,
): EngineView {
  const { options } = setup
  const role = nodeFile.record.standby ? 'standby' : 'replica'
  const leader = () => replica.leaderAddress ?? ''
  return {
    role: () => role,
    leaderAddress: () => (replica.status.connected && replica.source.address) || leader(),
    position: () => replica.position,
    incarnation: () => '',
    history: () => historyOf(replica.position, nodeFile.record.lineage),
    contains: (point) => containment(replica.position, nodeFile.record.lineage, point) === 'proven',
    canRead: () => replica.canRead,
    settle: async () => replica.position,
    async acknowledge() {
      throw new WalcastError('NOT_LEADER', { address: ownAddress(options), role })
    },
    staleMs: () => replica.lag.staleMs(),
    leaderAt: () => ({
      epoch: nodeFile.record.epoch,
      txid: replica.lag.leaderTxid,
      agoMs: replica.lag.toldAgoMs,
    }),
    freshen: () => replica.ping(),
    status(): EngineStatus {
      const { state, epoch, txid, checksum, pageSize, pages, sync, lastError } = replica.status
      const { lagMs, txidLag, connected } = replica.lag.summary()
      return {
        state,
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes: replica.status.walBytes,
        walFileBytes: replica.status.walFileBytes,
        leader: replica.status.leaderNode || leader(),
        follows: replica.status.follows || leader(),
        replicas: relay.replicas,
        lag: { lagMs, txidLag, connected },
        ...checks.status,
        ...(sync ? { sync } : {}),
        ...keptStatus(replica.status.kept),
        ...(lastError ? { lastError: { code: lastError.code, message: lastError.message } } : {}),
      }
    },
    lag: () => ({ role, causes: checks.causes, ...replica.lag.report() }),
    queues: () => ({
      historyBytes: relay.historyBytes,
      bufferedBytes: relay.bufferedBytes,
      queuedBytes: replica.status.queuedBytes,
    }),
    notReady: () => notReady(replica, options.maxStalenessMs),
    reach(target) {
      const reach = reachFrom(replica.position, target, false, nodeFile.record.lineage)
      // A copy whose content is known to be wrong holds no position for certain.
      return reach === 'reached' && !replica.canRead ? 'ahead' : reach
    },
    refuseReplicas: () => relay.refuse(),
    accept: (socket, address) => relay.accept(socket, address),
  }
}

/**
 * A replica is ready with a whole copy, while it has heard of its leader within `maxStalenessMs`: a
 * leader may restart meanwhile.
 */
function notReady(replica: Replica, maxStalenessMs: number): string[] {
  const { hasCopy, isTrusted, sync } = replica.status
  if (!hasCopy)
    return [sync ? `first copy: ${sync.remaining} of ${sync.total} pages to come` : 'no copy yet']
  if (!isTrusted) return ["its content is known to differ from the leader's and is being repaired"]
  const agoMs = replica.lag.toldAgoMs
  if (agoMs === Number.POSITIVE_INFINITY) return ['has not heard of its leader yet']
  if (agoMs > maxStalenessMs)
    return [`has not heard of its leader for ${Math.round(agoMs / 1000)} s`]
  return []
}
