/** What the engines of a simulated node are made with, and whom they tell. */
import { pino } from 'pino'
import { joined, withIncarnation, withoutIdle } from '../../proto/lineage.ts'
import type { Position } from '../../proto/position.ts'
import type { PeerAnswer } from '../../src/cluster/peerAnswer.ts'
import type { WalcastError } from '../../src/errors.ts'
import { ReplicaList } from '../../src/feed/replicaList.ts'
import type { LeaderOptions } from '../../src/leader/leaderOptions.ts'
import type { FileOps } from '../../src/platform/fileOps.ts'
import { CopyAccess } from '../../src/replica/copy/copyAccess.ts'
import type { ReplicaOptions } from '../../src/replica/replicaOptions.ts'
import { Claims } from '../../src/security/claims.ts'
import { fileMode } from '../../src/sqlite/fileModes.ts'
import type { Network } from './network.ts'
import type { NodeProcess } from './nodeProcess.ts'
import type { Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { Trace } from './trace.ts'

const DB = 'db'
/** A line of the log of pino's level error. */
const ERROR_LINE = '{"level":50'

export interface NodeSite {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly network: Network
  readonly trace: Trace
  readonly ops: FileOps
  /** What the other nodes say of themselves. */
  readonly answersFor: (asking: SimulatedNode) => readonly PeerAnswer[]
  /** Hears what the engines tell. */
  readonly onCaptured: (position: Position, checksum: string) => void
  readonly onApplied: (node: SimulatedNode) => void
  readonly onSynced: (node: SimulatedNode) => void
  /** It is up; a replica has opened its copy, if it has one. */
  readonly onUp: (node: SimulatedNode) => void
  /** Others may write its database from now on. */
  readonly onLeads: (node: SimulatedNode) => void
  readonly onFatal: (node: SimulatedNode, error: WalcastError) => void
  /** The key of an error that ended a connection, or what an engine called an error in its log. */
  readonly onTrouble: (node: SimulatedNode, what: string) => void
}

function sharedOptions(process: NodeProcess, site: NodeSite) {
  const { node } = process
  const { scheduler, ops, trace, onTrouble } = site
  const clock = { nowMs: () => scheduler.nowMs() + node.skewMs }
  const write = (line: string) => {
    trace.add(node.id, line.trim())
    if (line.startsWith(ERROR_LINE)) onTrouble(node, line.trim())
  }
  const log = pino({ base: null, timestamp: false }, { write })
  const claims = new Claims(() => ({ epoch: process.nodeFile.record.epoch, txid: 0 }))
  const { path, folder: stateFolder } = node
  return { db: DB, path, stateFolder, version: '0', log, clock, ops, claims }
}

export function leaderOptions(process: NodeProcess, site: NodeSite): LeaderOptions {
  const { onCaptured, onFatal, onTrouble } = site
  const { node, nodeFile } = process
  const parts = sharedOptions(process, site)
  const save: LeaderOptions['identity']['save'] = (begun) =>
    nodeFile.update({
      epoch: begun.epoch,
      term: begun.term,
      txidCeiling: begun.txidCeiling,
      incarnation: begun.begun.id,
      leaderMode: fileMode(node.path),
      lineage: withIncarnation(
        withoutIdle(nodeFile.record.lineage, node.id, begun.txid, begun.stored),
        begun.begun,
      ),
    })
  return {
    ...parts,
    address: node.address,
    identity: {
      node: node.id,
      cluster: nodeFile.record.cluster,
      instance: process.instance,
      epoch: () => nodeFile.record.epoch,
      incarnation: () => nodeFile.record.incarnation,
      raised: () => undefined,
      txidCeiling: () => nodeFile.record.txidCeiling,
      lineage: () => nodeFile.record.lineage,
      term: () => nodeFile.record.term,
      members: () => [],
      save,
      insist: save,
      raiseCeiling: (txidCeiling) => nodeFile.update({ txidCeiling }),
    },
    checkpoint: { softWalFrames: 60, hardWalFrames: 80, maxWalBytes: 1e6, fenceTimeoutMs: 50 },
    wake: { pollAbovePerSecond: 400, pollMs: 1, idleMs: 500 },
    session: { maxBufferedBytes: 65536, stallMs: 5000, helloTimeoutMs: 3000 },
    historyBytes: 262144,
    batchBytes: 65536,
    maxReplicas: 8,
    heartbeatMs: 500,
    replicas: new ReplicaList(parts.clock, node.id),
    maxAckWaits: 100,
    observer: {
      onBatch: ({ last, txid, checksum }) => {
        if (!process.isAlive || !last) return
        onCaptured({ epoch: nodeFile.record.epoch, txid }, checksum)
      },
      onPass() {},
      onUnverified() {},
      onSent() {},
      onBadMessage: (key) => onTrouble(node, key),
      onEpoch() {},
      onPutBack() {},
      onHigherEpoch() {},
      onFatal: (error) => onFatal(node, error),
    },
  }
}

/** Follows the leader of the role file. */
export function replicaOptions(process: NodeProcess, site: NodeSite): ReplicaOptions {
  const { onApplied, onSynced, onFatal, onTrouble, scheduler } = site
  const { node, nodeFile } = process
  const parts = sharedOptions(process, site)
  const leader = nodeFile.record.leader || undefined
  const ifAlive = (tell: (node: SimulatedNode) => void) => () => {
    if (process.isAlive) tell(node)
  }
  return {
    ...parts,
    advertise: node.address,
    identity: {
      node: node.id,
      instance: process.instance,
      upMs: () => scheduler.elapsedMs - process.upSinceMs,
      cluster: () => nodeFile.record.cluster,
      lineage: () => nodeFile.record.lineage,
      lastLeader: () => '',
      term: () => nodeFile.record.term,
      epoch: () => nodeFile.record.epoch,
      adopt: async ({ cluster, epoch, term, fileMode: leaderMode }, told, address) => {
        const lineage = joined(nodeFile.record.lineage, told)
        await nodeFile.update({ cluster, epoch, term, leader: address, leaderMode, lineage })
      },
    },
    subscription: {
      db: DB,
      leader,
      reconnectMinMs: 50,
      reconnectMaxMs: 2000,
      handshakeTimeoutMs: 2000,
      silenceMs: 3000,
      maxQueuedBytes: 65536,
    },
    walBytes: 65536,
    access: new CopyAccess({
      path: node.path,
      leaderMode: () => nodeFile.record.leaderMode,
      log: parts.log,
    }),
    lockTimeoutMs: 2000,
    maxDiverged: 8,
    maxDivergedBytes: 1e7,
    idleMs: 1000,
    pingMs: 2000,
    dial: () => undefined,
    observer: {
      onConnected() {},
      onLeaderAt() {},
      onLeaderStopping() {},
      onReceived() {},
      onApplied: ifAlive(onApplied),
      onCheckpoint() {},
      onDurable() {},
      onDisconnected: (key) => onTrouble(node, key),
      onRefused() {},
      onSynced: ifAlive(onSynced),
      onStray: () => onTrouble(node, 'STRAY_WRITE'),
      onKeptDropped() {},
      onMember() {},
      onMoved: ({ address }) => process.replica?.follow(address),
      onFatal: (error) => onFatal(node, error),
    },
  }
}
