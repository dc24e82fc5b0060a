/** The list of all nodes that this one answers. */
import { onlyDatabase } from '../api/databases.ts'
import { PeerReads } from '../cluster/peerReads.ts'
import { ClusterOverview } from '../health/clusterOverview.ts'
import type { NodeReport } from '../health/nodeReport.ts'
import { ownAddress } from '../options/address.ts'
import type { ClusterPause } from './clusterPause.ts'
import type { Ground } from './nodeGround.ts'

export function newClusterOverview(
  ground: Ground & { readonly pause: ClusterPause },
  report: NodeReport,
): ClusterOverview {
  const { databases, setup, calls, claims, trust, members, clock } = ground
  const { name, view } = onlyDatabase(databases)
  const { peerTimeoutMs, leader: givenLeader } = setup.options
  return new ClusterOverview({
    database: name,
    address: ownAddress(setup.options),
    peerTimeoutMs,
    givenLeader,
    report,
    pause: ground.pause,
    view,
    reads: new PeerReads(calls),
    claims,
    members: () => trust.others(),
    addresses: () => members.addresses(),
    isRemoved: (node) => trust.keys.isRemovedNode(node),
    nowMs: () => clock.nowMs(),
  })
}
