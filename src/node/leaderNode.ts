/** A node that leads. */
import { WalcastError } from '../errors.ts'
import { type LagReport, NO_QUEUES, type NodeStatus, type NodeView } from '../http/view.ts'
import { reachFrom } from '../http/waits.ts'
import { Leader } from '../leader/leader.ts'
import { LagTracker } from '../replica/lag.ts'
import { feedLimits } from './feedLimits.ts'
import {
  DATABASE_NAME,
  type Engine,
  type EngineParts,
  type NodeSetup,
  type RunningNode,
  startNode,
} from './node.ts'
import { NodeScrub } from './nodeScrub.ts'

export function startLeader(setup: NodeSetup): Promise<RunningNode> {
  return startNode(setup, 'leader', buildLeader)
}

async function buildLeader(parts: EngineParts): Promise<Engine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, log, version } = setup
  const startedMs = clock.nowMs()
  const record = nodeFile.record
  const observer = metrics.leader()
  let leader: Leader | undefined
  let scrub: NodeScrub | undefined
  leader = await Leader.open(
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
      batchBytes: options.batchBytes,
      observer: {
        ...observer,
        ...metrics.feed(),
        onBatch(batch) {
          observer.onBatch(batch)
          if (batch.last) remember(leader, scrub)
          parts.onMoved()
        },
        onEpoch: () => parts.onMoved(),
        onFatal: (error) => parts.onFatal(error),
      },
    },
    parts.thread,
  )
  const opened = leader
  scrub = new NodeScrub(parts, {
    pages: () => opened.scrubbed,
    look: () => opened.look(),
    status: () => view.status(),
    isTrusted: () => true,
  })
  const view = viewOf(opened, scrub, parts, startedMs)
  return {
    view,
    checks: scrub,
    announceStop: () => opened.announceStop(),
    async stop() {
      await scrub.stop()
      await opened.stop()
    },
  }
}

function remember(leader: Leader | undefined, scrub: NodeScrub | undefined): void {
  const pages = leader?.scrubbed
  if (leader && pages) scrub?.onPosition(leader.position.epoch, leader.position.txid, pages.sums.state)
}

function viewOf(leader: Leader, scrub: NodeScrub, parts: EngineParts, startedMs: number): NodeView {
  const { setup, nodeFile, clock } = parts
  const { options, version } = setup
  // A leader is behind nobody: its report is the same empty one each time.
  const level = new LagTracker(clock).report()
  return {
    role: () => 'leader',
    position: () => leader.position,
    canRead: () => true,
    settle: () => leader.settle(),
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
