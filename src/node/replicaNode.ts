/** A node that follows. */
import { STREAM_PATH } from '../../proto/limits.ts'
import { WalcastError } from '../errors.ts'
import { REPLICA_AUTH_HEADER, signRequest } from '../http/auth.ts'
import type { NodeStatus, NodeView } from '../http/view.ts'
import { reachFrom } from '../http/waits.ts'
import type { Relay } from '../leader/relay.ts'
import { Replica } from '../replica/replica.ts'
import { addressOf } from './address.ts'
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
  let scrub: NodeScrub | undefined
  let replica: Replica | undefined
  replica = await Replica.open(
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
        onApplied(batch) {
          observer.onApplied(batch)
          const { epoch, txid } = batch.position
          const sums = replica?.scrubbed?.sums
          if (sums) scrub?.onPosition(epoch, txid, sums.state)
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
  const opened = replica
  parts.traffic.offsetMs = () => opened.lag.offset.offsetMs
  const relay = newRelay(opened, parts)
  opened.downstream = relay
  scrub = new NodeScrub(parts, {
    pages: () => opened.scrubbed,
    look() {},
    status: () => view.status(),
    isTrusted: () => opened.status.isTrusted,
    repair: { pages: (rotten) => opened.repair(rotten), all: () => opened.distrust() },
  })
  const view = viewOf(opened, relay, scrub, parts, leader, startedMs)
  return {
    view,
    checks: scrub,
    announceStop: () => relay.announceStop(),
    async stop() {
      relay.stop()
      await scrub.stop()
      await opened.stop()
    },
  }
}

function viewOf(
  replica: Replica,
  relay: Relay,
  scrub: NodeScrub,
  parts: EngineParts,
  leader: string,
  startedMs: number,
): NodeView {
  const { setup, nodeFile, clock } = parts
  const { options, version } = setup
  const role = options.standby ? 'standby' : 'replica'
  return {
    role: () => role,
    position: () => replica.position,
    canRead: () => replica.canRead,
    settle: async () => replica.position,
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
        scrub: scrub.report,
        ...(sync ? { sync } : {}),
        ...(lastError ? { lastError: { code: lastError.code, message: lastError.message } } : {}),
        version,
        uptimeSeconds: Math.round((clock.nowMs() - startedMs) / 1000),
      }
    },
    lag: () => ({ role, ...replica.lag.report() }),
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
