/** A node that leads. */
import { PeersFile, readPeers } from '../cluster/peersFile.ts'
import { WalcastError } from '../errors.ts'
import type { Cause } from '../http/cause.ts'
import { type LagReport, NO_QUEUES, type NodeStatus, type NodeView } from '../http/view.ts'
import { reachFrom } from '../http/waits.ts'
import { Leader } from '../leader/leader.ts'
import { ReplicaList } from '../leader/replicaList.ts'
import { LagTracker } from '../replica/lag.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { CauseWatch } from './causeWatch.ts'
import { feedLimits } from './feedLimits.ts'
import { readersOf } from './feedWatch.ts'
import { LeaderWatch } from './leaderWatch.ts'
import {
  DATABASE_NAME,
  type Engine,
  type EngineParts,
  type NodeSetup,
  type RunningNode,
  startNode,
} from './node.ts'
import { NodeScrub } from './nodeScrub.ts'
import type { NodeOptions } from './options.ts'

/** The WAL may pass the hard limit for a moment; at so many times that it does not go on as usual. */
const USUAL_WALS = 2

export function startLeader(setup: NodeSetup): Promise<RunningNode> {
  return startNode(setup, 'leader', buildLeader)
}

async function buildLeader(parts: EngineParts): Promise<Engine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, log, version } = setup
  const startedMs = clock.nowMs()
  const record = nodeFile.record
  const observer = metrics.leader()
  const list = new ReplicaList(clock, readPeers(parts.stateFolder, log))
  const watch = new LeaderWatch(list, readersOf(path))
  let scrub: NodeScrub | undefined
  const leader: Leader = await Leader.open(
    {
      db: DATABASE_NAME,
      path,
      stateFolder: parts.stateFolder,
      version,
      address: options.advertise ?? options.listen,
      identity: {
        node: record.node,
        cluster: record.cluster,
        epoch: () => nodeFile.record.epoch,
        txidCeiling: () => nodeFile.record.txidCeiling,
        save: (epoch, txidCeiling) => nodeFile.update({ epoch, txidCeiling }),
      },
      log,
      clock,
      ops: parts.ops,
      checkpoint: {
        softWalFrames: options.softWalFrames,
        hardWalFrames: options.hardWalFrames,
        fenceTimeoutMs: options.fenceTimeoutMs,
      },
      wake: { pollAbovePerSecond: options.pollAbovePerSecond, pollMs: options.pollMs, idleMs: 500 },
      ...feedLimits(options),
      replicas: list,
      maxAckWaits: options.maxWaits,
      batchBytes: options.batchBytes,
      observer: {
        ...observer,
        ...metrics.feed(),
        onBatch(batch) {
          observer.onBatch(batch)
          if (batch.last) scrub?.onMoved()
          parts.onMoved()
        },
        onPass(pass) {
          observer.onPass(pass)
          watch.onPass(pass, clock.nowMs())
        },
        onEpoch: () => parts.onMoved(),
        onFatal: (error) => parts.onFatal(error),
      },
    },
    parts.thread,
  )
  const peers = new PeersFile(parts.stateFolder, parts.ops, log, list)
  const causes = new CauseWatch((nowMs) => lookAt(leader, watch, options, nowMs), clock, log)
  const scrubbing = new NodeScrub(parts, {
    pages: () => leader.scrubbed,
    position: () => leader.position,
    look: () => leader.look(),
    status: () => view.status(),
    isTrusted: () => true,
  })
  scrub = scrubbing
  const view: NodeView = {
    ...viewOf(leader, scrubbing, parts, () => causes.causes, startedMs),
    forget: (node) => peers.forget(node),
  }
  return {
    view,
    checks: scrubbing,
    announceStop: () => leader.announceStop(),
    async stop() {
      causes.stop()
      try {
        await scrubbing.stop()
        await leader.stop()
      } finally {
        await peers.stop()
      }
    },
  }
}

function lookAt(leader: Leader, watch: LeaderWatch, { hardWalFrames }: NodeOptions, nowMs: number): Cause[] {
  const { status } = leader
  return watch.look(status, USUAL_WALS * hardWalFrames * frameBytes(status.pageSize), nowMs)
}

function viewOf(
  leader: Leader,
  scrub: NodeScrub,
  parts: EngineParts,
  causes: () => readonly Cause[],
  startedMs: number,
): Omit<NodeView, 'forget'> {
  const { setup, nodeFile, clock } = parts
  const { options, version } = setup
  // A leader is behind nobody: its report is the same empty one each time.
  const level = new LagTracker(clock).report()
  return {
    role: () => 'leader',
    position: () => leader.position,
    canRead: () => true,
    settle: () => leader.settle(),
    acknowledge: (position, wanted, timeoutMs) => leader.acknowledgements.wait(position, wanted, timeoutMs),
    staleMs: () => 0,
    freshen() {},
    status(): NodeStatus {
      const { node, cluster } = nodeFile.record
      const { epoch, txid, checksum, pageSize, pages, walBytes, capturing, replicas } = leader.status
      return {
        node,
        cluster,
        db: parts.path,
        role: 'leader',
        state: capturing ? 'capturing' : 'stopped',
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        leader: options.advertise ?? options.listen,
        replicas,
        lag: { lagMs: 0, txidLag: 0, connected: true },
        causes: causes(),
        scrub: scrub.report,
        version,
        uptimeSeconds: Math.round((clock.nowMs() - startedMs) / 1000),
      }
    },
    lag(): LagReport {
      const { txid } = leader.status
      return {
        ...level,
        role: 'leader',
        causes: causes(),
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
    reach: (target) => reachFrom(leader.position, target, true),
    refuseReplicas: () => (leader.status.capturing ? undefined : new WalcastError('STARTING')),
    accept: (socket, address) => leader.accept(socket, address),
  }
}
