/**
 * What a simulated node is and knows, what it tells others of itself, and what must be so when it
 * is ordered something.
 */
import { historyOf } from '../../../proto/lineage.ts'
import type { PeerAnswer } from '../../../src/cluster/peerAnswer.ts'
import type { CopyFacts, RoleFacts } from '../../../src/roles/state/roleFacts.ts'
import type { EngineOrder } from '../../../src/roles/state/roleOrders.ts'
import type { RoleWorld } from './roleWorld.ts'
import type { SimulatedNode } from './simulatedNode.ts'

const SWITCHOVER_MS = 1000

export function factsOf(node: SimulatedNode, world: RoleWorld): RoleFacts {
  const { nowMs } = world
  const others = world.nodes.filter((each) => each !== node)
  const replicas = others
    .filter((each) => each.isConnected && each.leaderAddress === node.address)
    .map((each) => ({
      node: each.id,
      address: each.address,
      connected: true,
      state: 'streaming',
      txid: each.position.txid,
    }))
  const heard = replicas.map((each) => node.heardMs.get(each.node) ?? 0)
  return {
    nowMs,
    monotonicMs: nowMs,
    rules: {
      switchoverTimeoutMs: SWITCHOVER_MS,
      fenceWhenAloneMs: world.fenceWhenAloneMs,
      givenLeader: undefined,
    },
    record: node.record,
    recordPath: 'node.json',
    address: node.address,
    members: others.map(({ id, address }) => ({ node: id, address })),
    everybody: others.map(({ address }) => address),
    led:
      node.engine === 'leader'
        ? { position: node.position, isFenced: node.isFenced, lastHeardMs: Math.max(0, ...heard) }
        : undefined,
    copy: node.engine === 'replica' ? copyFactsOf(node, world) : undefined,
    replicas,
    lease: undefined,
    heldWrites: 0,
  }
}

function copyFactsOf(node: SimulatedNode, world: RoleWorld): CopyFacts {
  const leader = world.at(node.leaderAddress)
  return {
    role: 'replica',
    hasCopy: true,
    isTrusted: true,
    state: node.isConnected ? 'streaming' : 'connecting',
    checksum: String(node.content.id),
    position: node.position,
    stoodAt: undefined,
    leaderAddress: node.leaderAddress || undefined,
    connected: node.isConnected,
    follows: leader?.id ?? '',
    leaderNode: leader?.id ?? '',
    leaderTxid: node.position.txid,
    staleMs: 0,
  }
}

/** What `GET /leader` says of it. */
export function answerOf(from: SimulatedNode, instance: string, nowMs: number): PeerAnswer {
  const { node, epoch, term, lineage, cluster } = from.record
  return {
    asked: from.address,
    node,
    instance,
    upMs: nowMs,
    cluster,
    role: from.engine === 'none' ? from.record.role : from.engine,
    ready: from.engine === 'leader',
    epoch,
    term,
    txid: from.position.txid,
    positionEpoch: from.position.epoch,
    history: historyOf(from.position, lineage),
    lastLeader: lineage.findLast((begun) => begun.epoch === epoch)?.leader ?? '',
    address: from.engine === 'leader' ? from.address : from.leaderAddress,
    timeMs: nowMs,
    trust: '',
    takesPlainText: true,
  }
}

/** What must be so whenever this is ordered, and is not. */
export function wrongWith(order: EngineOrder, node: SimulatedNode): string | undefined {
  const { engine, isFenced, isHeld, drainedTxid, position, record, saysThatItLeads } = node
  switch (order.do) {
    case 'recordFollowing':
    case 'retire':
      if (engine !== 'leader' || (isFenced && drainedTxid === position.txid)) return undefined
      return 'it is not fenced and drained'
    case 'recordLeading':
      if (order.begins.epoch <= record.epoch) return 'the epoch is no later one'
      return (engine === 'leader' ? isFenced : isHeld) ? undefined : 'the write lock is not held'
    case 'beginCapture':
      if (!saysThatItLeads) return 'the role file does not say that it leads'
      return isHeld ? undefined : 'the write lock is not held'
    case 'admitWriters':
      return saysThatItLeads ? undefined : 'the role file does not say that it leads'
    default:
      return undefined
  }
}
