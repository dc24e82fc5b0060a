/** One database as the node sees it while it leads. */

import { containment, historyOf } from '../../proto/lineage.ts'
import type { DatabaseLag } from '../api/databaseStatus.ts'
import { NO_QUEUES } from '../api/databaseView.ts'
import { reachFrom } from '../api/positionWaits.ts'
import { WalcastError } from '../errors.ts'
import type { Leader } from '../leader/leader.ts'
import { ownAddress } from '../options/address.ts'
import type { KeptBundles } from '../replica/diverged/keptFolder.ts'
import { LagTracker } from '../replica/lag.ts'
import type { BackgroundChecks } from './backgroundChecks.ts'
import type { EngineParts, EngineStatus, EngineView } from './engine.ts'
import { keptStatus } from './keptStatus.ts'

export function leaderView(
  leader: Leader,
  checks: BackgroundChecks,
  bundles: KeptBundles,
  parts: EngineParts,
): EngineView {
  const { setup, nodeFile, clock } = parts
  const address = ownAddress(setup.options)
  // A leader has no lag: its report is the same empty one each time.
  const level = new LagTracker(clock).report()
  return {
    role: () => 'leader',
    leaderAddress: () => address,
    position: () => leader.position,
    incarnation: () => leader.position.incarnation,
    history: () => historyOf(leader.position, nodeFile.record.lineage),
    contains: (point) => containment(leader.position, nodeFile.record.lineage, point) === 'proven',
    canRead: () => true,
    settle: () => leader.settle(),
    acknowledge: (position, wanted, timeoutMs) =>
      wanted.archived
        ? parts.archived.wait(position, timeoutMs)
        : leader.acknowledgements.wait(position, wanted, timeoutMs),
    staleMs: () => 0,
    leaderAt: () => ({ ...leader.position, agoMs: 0 }),
    freshen() {},
    status(): EngineStatus {
      const {
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        walFileBytes,
        capturing,
        replicas,
      } = leader.status
      bundles.look()
      return {
        state: capturing ? 'capturing' : 'stopped',
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        walFileBytes,
        leader: address,
        replicas,
        lag: { lagMs: 0, txidLag: 0, connected: true },
        ...checks.status,
        ...keptStatus(bundles.kept),
      }
    },
    lag(): DatabaseLag {
      const { txid } = leader.status
      return {
        ...level,
        role: 'leader',
        causes: checks.causes,
        connected: true,
        txid,
        leaderTxid: txid,
        lagMs: 0,
      }
    },
    queues: () => ({
      ...NO_QUEUES,
      historyBytes: leader.status.historyBytes,
      bufferedBytes: leader.bufferedBytes,
    }),
    notReady: () => (leader.status.capturing ? [] : ['not capturing']),
    reach: (target) => reachFrom(leader.position, target, true, nodeFile.record.lineage),
    refuseReplicas: () => (leader.status.capturing ? undefined : new WalcastError('STARTING')),
    accept: (socket, address) => leader.accept(socket, address),
  }
}
