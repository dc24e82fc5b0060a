/**
 * A replica that has no leader asks the other nodes whom to follow, as a node does now and then.
 */
import type { PeerAnswer } from '../../src/cluster/peerAnswer.ts'
import { leaderAmong } from '../../src/roles/election/precedence.ts'
import type { Network } from './network.ts'
import type { NodeProcess } from './nodeProcess.ts'
import type { SimulatedNode } from './simulatedNode.ts'

/** What the others of `nodes` say of themselves. */
export function answersFor(asking: SimulatedNode, nodes: readonly SimulatedNode[]): PeerAnswer[] {
  return nodes.flatMap((node) => {
    const { record, process } = node
    if (!record || node === asking) return []
    const position = (process?.leader ?? process?.replica)?.position
    return [
      {
        asked: node.address,
        node: node.id,
        instance: process?.instance ?? '',
        upMs: 0,
        cluster: record.cluster,
        role: record.role,
        ready: process?.leader?.isFenced === false,
        epoch: record.epoch,
        term: record.term,
        txid: position?.txid ?? 0,
        positionEpoch: position?.epoch ?? 0,
        history: '',
        lastLeader: '',
        address: record.role === 'leader' ? node.address : record.leader,
        timeMs: 0,
        trust: '',
        takesPlainText: true,
      },
    ]
  })
}

/** Follows who leads, unless it is fed already. */
export function lookForLeader(
  process: NodeProcess,
  nodes: readonly SimulatedNode[],
  network: Network,
): void {
  const { replica, opened } = process
  if (!replica || !opened || replica.status.connected || process.isChanging) return
  const { epoch, term } = process.nodeFile.record
  const mine = { node: process.node.id, epoch, term }
  const reached = nodes.filter(({ address }) => !network.isParted(process.address, address))
  const found = leaderAmong(answersFor(process.node, reached), mine)
  if (found && found.asked !== replica.leaderAddress) replica.follow(found.asked)
}
