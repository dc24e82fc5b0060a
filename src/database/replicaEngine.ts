/** A node that follows. */

import { STREAM_PATH } from '../../proto/limits.ts'
import { containment, historyOf, joined, type Lineage } from '../../proto/lineage.ts'
import { reachFrom } from '../api/positionWaits.ts'
import type { NodeFile, NodeRecord } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import type { Relay } from '../feed/relay.ts'
import { readersOf } from '../health/feedSampler.ts'
import { type ReplicaSample, ReplicaSampler } from '../health/replicaSampler.ts'
import { ownAddress } from '../options/address.ts'
import { CopyAccess } from '../replica/copy/copyAccess.ts'
import { Replica } from '../replica/replica.ts'
import type { AdoptedWelcome, ReplicaOptions } from '../replica/replicaOptions.ts'
import { REPLICA_AUTH_HEADER, signRequest } from '../security/auth.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { BackgroundChecks } from './backgroundChecks.ts'
import {
  DATABASE_NAME,
  type Engine,
  type EngineParts,
  type EngineStatus,
  type EngineView,
} from './engine.ts'
import { keptStatus } from './keptStatus.ts'
import { newRelay } from './replicaRelay.ts'

/**
 * The copy's WAL grows on while it is checkpointed; at so many times the size that starts that, it
 * does not go on as usual.
 */
const USUAL_WALS = 2

export interface ReplicaEngine extends Engine {
  readonly role: 'replica'
  readonly replica: Replica
  /**
   * Takes in what was received and gives up the copy, with its write lock. Undefined, with
   * everything closed, when there is no whole one.
   */
  retire(): Promise<HeldDatabase | undefined>
}

/** How long what was received may take to be applied before this node leads. */
const FINISH_MS = 30_000

/**
 * Opens the copy, or goes on with a database that this process has led until now. Follows the node
 * at `leader` (HOST:PORT), or nobody until it is told whom.
 */
export async function buildReplica(
  parts: EngineParts,
  leader: string | undefined,
  held?: HeldDatabase,
): Promise<ReplicaEngine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, secret } = setup
  const { node } = nodeFile.record
  const observer = metrics.replica()
  const list = parts.replicas
  const watch = new ReplicaSampler(list, readersOf(path))
  let upkeep: BackgroundChecks | undefined
  const replicaOptions: ReplicaOptions = {
    db: DATABASE_NAME,
    path,
    stateFolder: parts.stateFolder,
    version: setup.version,
    advertise: ownAddress(options),
    identity: {
      node,
      cluster: () => nodeFile.record.cluster,
      epoch: () => nodeFile.record.epoch,
      instance: parts.instance.id,
      upMs: () => parts.instance.upMs,
      lineage: () => nodeFile.record.lineage,
      lastLeader: () => lastLeader(nodeFile.record),
      term: () => nodeFile.record.term,
      adopt: (welcome, told, address) => adopt(nodeFile, address, welcome, told),
    },
    log: setup.log,
    clock,
    ops: parts.ops,
    subscription: {
      db: DATABASE_NAME,
      leader,
      reconnectMinMs: 50,
      reconnectMaxMs: options.reconnectMaxMs,
      handshakeTimeoutMs: 5000,
      silenceMs: Math.max(5000, options.maxStalenessMs / 2),
      maxQueuedBytes: options.maxQueuedBytes,
    },
    walBytes: options.replicaWalBytes,
    access: new CopyAccess({
      path,
      copyMode: options.copyMode,
      leaderMode: () => nodeFile.record.leaderMode,
      log: setup.log,
    }),
    lockTimeoutMs: options.lockTimeoutMs,
    maxDiverged: options.maxDiverged,
    maxDivergedBytes: options.maxDivergedBytes,
    idleMs: options.idleMs,
    pingMs: 2000,
    upgradeHeaders: (offsetMs) =>
      secret
        ? {
            [REPLICA_AUTH_HEADER]: signRequest(secret, {
              method: 'GET',
              path: STREAM_PATH,
              node,
              epoch: nodeFile.record.epoch,
              nowMs: clock.nowMs() + offsetMs,
            }),
          }
        : {},
    observer: {
      ...observer,
      onConnected(leaderAddress, followed) {
        observer.onConnected(leaderAddress, followed)
        parts.members.learn(replica.status.leaderNode, leaderAddress || followed)
        parts.replicas.follows(replica.status.leaderNode)
        parts.traffic.onLeaderThere(leaderAddress || followed, replica.source.incarnation)
        if (leaderAddress !== '') parts.onRelayed(followed, leaderAddress)
        parts.onMoved()
      },
      onMember({ node: member, address, gone }) {
        if (gone) parts.members.forget(member)
        else parts.members.learn(member, address)
      },
      onMoved: (to) => parts.onLeaderMoved(to),
      onDisconnected(error) {
        observer.onDisconnected(error)
        parts.traffic.onLeaderLost()
        parts.onLeaderLost()
      },
      onLeaderAt: () => parts.onMoved(),
      onLeaderStopping: () => parts.traffic.onLeaderStopping(),
      onReceived(bytes) {
        observer.onReceived(bytes)
        watch.onReceived(bytes)
      },
      onCheckpoint(checkpoint) {
        observer.onCheckpoint(checkpoint)
        watch.onCheckpoint(checkpoint.complete)
      },
      onApplied(batch) {
        observer.onApplied(batch)
        watch.onApplied(batch)
        upkeep?.scrub.onMoved()
        parts.onMoved()
      },
      onSynced() {
        observer.onSynced()
        upkeep?.scrub.onSynced()
        parts.onMoved()
      },
      onFatal: (error) => parts.onFatal(error),
    },
  }
  const replica: Replica = held
    ? await Replica.takeOver(replicaOptions, parts.thread, held)
    : await Replica.open(replicaOptions, parts.thread)
  parts.traffic.offsetMs = () => replica.lag.offset.offsetMs
  const relay = newRelay(replica, parts, list)
  replica.downstream = relay
  const explain = (nowMs: number) => watch.look(lookAt(replica, options.replicaWalBytes), nowMs)
  const care = new BackgroundChecks(parts, explain, {
    pages: () => replica.scrubbed,
    position: () => replica.position,
    look() {},
    role: () => view.role(),
    status: () => view.status(),
    isTrusted: () => replica.status.isTrusted,
    repair: { pages: (rotten) => replica.repair(rotten), all: () => replica.distrust() },
  })
  upkeep = care
  const view = viewOf(replica, relay, care, parts)
  const endWith = <T>(end: () => Promise<T>): Promise<T> => {
    relay.stop()
    return care.endWith(end)
  }
  return {
    role: 'replica',
    replica,
    view,
    checks: care.scrub,
    announceStop: () => relay.announceStop(),
    tellMember: (member) => relay.tellMember(member),
    stop: () => endWith(() => replica.stop()),
    retire: () => endWith(() => replica.handOver(FINISH_MS)),
  }
}

/** Who leads, or led, in the highest epoch that is known of. */
export function lastLeader({ lineage, epoch }: NodeRecord): string {
  return lineage.findLast((begun) => begun.epoch === epoch)?.leader ?? ''
}

/** Written only when something of it is new: a node follows the same leader nearly always. */
async function adopt(
  nodeFile: NodeFile,
  leader: string,
  { cluster, epoch, term, fileMode: leaderMode }: AdoptedWelcome,
  told: Lineage,
): Promise<void> {
  const { record } = nodeFile
  const lineage = joined(record.lineage, told)
  const isKnown =
    record.cluster === cluster &&
    record.epoch === epoch &&
    record.term === term &&
    record.leader === leader &&
    record.leaderMode === leaderMode &&
    JSON.stringify(lineage) === JSON.stringify(record.lineage)
  if (!isKnown) await nodeFile.update({ cluster, epoch, term, leader, leaderMode, lineage })
}

function lookAt(replica: Replica, checkpointBytes: number): ReplicaSample {
  const {
    follows,
    leaderNode,
    txid,
    connected,
    silentMs,
    lastError,
    hasCopy,
    walBytes,
    queuedBytes,
  } = replica.status
  const { isReplacing, pageSize, leaderPageSize } = replica.status
  return {
    follows: follows || (replica.leaderAddress ?? ''),
    isRelayed: follows !== leaderNode,
    txid,
    connected,
    silentMs,
    lastError: lastError?.code ?? '',
    isFirstCopy: !hasCopy,
    isReplacing,
    pageSize,
    leaderPageSize,
    walBytes,
    usualWalBytes: USUAL_WALS * checkpointBytes,
    queuedBytes,
    lagMs: replica.lag.lagMs(),
    sourceStaleMs: replica.lag.sourceStaleMs,
  }
}

function viewOf(
  replica: Replica,
  relay: Relay,
  upkeep: BackgroundChecks,
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
        ...upkeep.status,
        ...(sync ? { sync } : {}),
        ...keptStatus(replica.status.kept),
        ...(lastError ? { lastError: { code: lastError.code, message: lastError.message } } : {}),
      }
    },
    lag: () => ({ role, causes: upkeep.causes, ...replica.lag.report() }),
    queues: () => ({
      historyBytes: relay.historyBytes,
      bufferedBytes: relay.bufferedBytes,
      queuedBytes: replica.status.queuedBytes,
    }),
    notReady: () => reasons(replica, options.maxStalenessMs),
    reach(target) {
      const reach = reachFrom(replica.position, target, false, nodeFile.record.lineage)
      // A copy that is known not to be what its position says holds nothing for certain.
      return reach === 'reached' && !replica.canRead ? 'ahead' : reach
    },
    refuseReplicas: () => relay.refuse(),
    accept: (socket, address) => relay.accept(socket, address),
  }
}

/**
 * Ready with a whole copy, as long as the leader was heard of not too long ago: its restart does
 * not count.
 */
function reasons(replica: Replica, maxStalenessMs: number): string[] {
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
