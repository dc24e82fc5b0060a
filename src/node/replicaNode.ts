/** A node that follows. */
import { STREAM_PATH } from '../../proto/limits.ts'
import { formatPosition } from '../../proto/position.ts'
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import { WalcastError } from '../errors.ts'
import { REPLICA_AUTH_HEADER, signRequest } from '../http/auth.ts'
import type { Cause } from '../http/cause.ts'
import type { DivergedStatus, NodeStatus, NodeView } from '../http/view.ts'
import { reachFrom } from '../http/waits.ts'
import type { Relay } from '../leader/relay.ts'
import { ReplicaList } from '../leader/replicaList.ts'
import type { Kept } from '../replica/keptFolder.ts'
import { Replica } from '../replica/replica.ts'
import { addressOf } from './address.ts'
import { CauseWatch } from './causeWatch.ts'
import { readersOf } from './feedWatch.ts'
import {
  DATABASE_NAME,
  type Engine,
  type EngineParts,
  type NodeSetup,
  type RunningNode,
  startNode,
} from './node.ts'
import { NodeScrub } from './nodeScrub.ts'
import { newRelay } from './replicaRelay.ts'
import { type ReplicaLook, ReplicaWatch } from './replicaWatch.ts'

/** The copy's WAL grows on while it is checkpointed; at so many times the size that starts that, it does not go on as usual. */
const USUAL_WALS = 2

/** Throws USAGE without a leader's address, SELF_LEADER when it is this node's own. */
export function startReplica(setup: NodeSetup): Promise<RunningNode> {
  const { leader, listen } = setup.options
  if (!leader) throw new WalcastError('USAGE', { detail: 'a replica needs --leader HOST:PORT' })
  addressOf(leader)
  if (leader === listen) throw new WalcastError('SELF_LEADER')
  return startNode(setup, 'replica', (parts) => buildReplica(parts, leader))
}

async function buildReplica(parts: EngineParts, leader: string): Promise<Engine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, secret } = setup
  const startedMs = clock.nowMs()
  const { node } = nodeFile.record
  const observer = metrics.replica()
  const list = new ReplicaList(clock, readPeers(parts.stateFolder, setup.log))
  const watch = new ReplicaWatch(list, readersOf(path))
  let scrub: NodeScrub | undefined
  const replica: Replica = await Replica.open(
    {
      db: DATABASE_NAME,
      path,
      stateFolder: parts.stateFolder,
      version: setup.version,
      advertise: options.advertise ?? options.listen,
      identity: {
        node,
        cluster: () => nodeFile.record.cluster,
        adopt: (cluster, epoch) => nodeFile.update({ cluster, epoch }),
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
      lockTimeoutMs: options.lockTimeoutMs,
      maxDiverged: options.maxDiverged,
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
        onConnected(leaderAddress) {
          observer.onConnected(leaderAddress)
          parts.traffic.onLeaderThere(leaderAddress)
          parts.onMoved()
        },
        onDisconnected(error) {
          observer.onDisconnected(error)
          parts.traffic.onLeaderLost()
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
          scrub?.onMoved()
          parts.onMoved()
        },
        onSynced() {
          observer.onSynced()
          scrub?.onSynced()
          parts.onMoved()
        },
        onFatal: (error) => parts.onFatal(error),
      },
    },
    parts.thread,
  )
  parts.traffic.offsetMs = () => replica.lag.offset.offsetMs
  const relay = newRelay(replica, parts, list)
  replica.downstream = relay
  const peers = new PeersFile(parts.stateFolder, parts.ops, setup.log, list)
  const causes = new CauseWatch(
    (nowMs) => watch.look(lookAt(replica, leader, options.replicaWalBytes), nowMs),
    clock,
    setup.log,
  )
  const scrubbing = new NodeScrub(parts, {
    pages: () => replica.scrubbed,
    position: () => replica.position,
    look() {},
    status: () => view.status(),
    isTrusted: () => replica.status.isTrusted,
    repair: { pages: (rotten) => replica.repair(rotten), all: () => replica.distrust() },
  })
  scrub = scrubbing
  const view: NodeView = {
    ...viewOf(replica, relay, scrubbing, parts, leader, () => causes.causes, startedMs),
    forget: (node) => peers.forget(node),
  }
  return {
    view,
    checks: scrubbing,
    announceStop: () => relay.announceStop(),
    async stop() {
      causes.stop()
      relay.stop()
      try {
        await scrubbing.stop()
        await replica.stop()
      } finally {
        await peers.stop()
      }
    },
  }
}

function lookAt(replica: Replica, leader: string, checkpointBytes: number): ReplicaLook {
  const { follows, leaderNode, txid, connected, lastError, hasCopy, walBytes, queuedBytes } = replica.status
  return {
    follows: follows || leader,
    isRelayed: follows !== leaderNode,
    txid,
    connected,
    lastError: lastError?.code ?? '',
    isFirstCopy: !hasCopy,
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
  scrub: NodeScrub,
  parts: EngineParts,
  leader: string,
  causes: () => readonly Cause[],
  startedMs: number,
): Omit<NodeView, 'forget'> {
  const { setup, nodeFile, clock } = parts
  const { options, version } = setup
  const role = options.standby ? 'standby' : 'replica'
  return {
    role: () => role,
    position: () => replica.position,
    canRead: () => replica.canRead,
    settle: async () => replica.position,
    async acknowledge() {
      throw new WalcastError('NOT_LEADER', { address: options.advertise ?? options.listen, role })
    },
    staleMs: () => replica.lag.staleMs(),
    freshen: () => replica.ping(),
    status(): NodeStatus {
      const { node, cluster } = nodeFile.record
      const { state, epoch, txid, checksum, pageSize, pages, walBytes, sync, lastError } = replica.status
      const { lagMs, txidLag, connected } = replica.lag.summary()
      return {
        node,
        cluster,
        db: parts.path,
        role,
        state,
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        leader: replica.status.leaderNode || leader,
        follows: replica.status.follows || leader,
        replicas: relay.replicas,
        lag: { lagMs, txidLag, connected },
        causes: causes(),
        scrub: scrub.report,
        ...(sync ? { sync } : {}),
        ...(replica.status.kept.length > 0 ? { diverged: replica.status.kept.map(divergedStatus) } : {}),
        ...(lastError ? { lastError: { code: lastError.code, message: lastError.message } } : {}),
        version,
        uptimeSeconds: Math.round((clock.nowMs() - startedMs) / 1000),
      }
    },
    lag: () => ({ role, causes: causes(), ...replica.lag.report() }),
    queues: () => ({
      historyBytes: relay.historyBytes,
      bufferedBytes: relay.bufferedBytes,
      queuedBytes: replica.status.queuedBytes,
    }),
    notReady: () => reasons(replica, options.maxStalenessMs),
    reach: (target) => reachFrom(replica.position, target, false),
    refuseReplicas: () => relay.refuse(),
    accept: (socket, address) => relay.accept(socket, address),
  }
}

function divergedStatus({ name, about }: Kept): DivergedStatus {
  const { at, epoch, txid, reason, state, rows } = about
  return { name, at, position: formatPosition({ epoch, txid }), reason, state, ...(rows ? { rows } : {}) }
}

/** Ready with a whole copy, as long as the leader was heard of not too long ago: its restart does not count. */
function reasons(replica: Replica, maxStalenessMs: number): string[] {
  const { hasCopy, isTrusted, sync } = replica.status
  if (!hasCopy) return [sync ? `first copy: ${sync.remaining} of ${sync.total} pages to come` : 'no copy yet']
  if (!isTrusted) return ["its content is known to differ from the leader's and is being repaired"]
  const agoMs = replica.lag.toldAgoMs
  if (agoMs === Number.POSITIVE_INFINITY) return ['has not heard of its leader yet']
  if (agoMs > maxStalenessMs) return [`has not heard of its leader for ${Math.round(agoMs / 1000)} s`]
  return []
}
