/** A node that leads. */
import { withBegin } from '../../proto/lineage.ts'
import { WalcastError } from '../errors.ts'
import type { Cause } from '../http/cause.ts'
import { type LagReport, NO_QUEUES, type NodeStatus, type NodeView } from '../http/view.ts'
import { reachFrom } from '../http/waits.ts'
import { Leader } from '../leader/leader.ts'
import type { LeaderOptions } from '../leader/leaderOptions.ts'
import { KeptFolder } from '../replica/keptFolder.ts'
import { LagTracker } from '../replica/lag.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { CauseWatch } from './causeWatch.ts'
import { DATABASE_NAME, type Engine, type EngineParts } from './engine.ts'
import { feedLimits } from './feedLimits.ts'
import { readersOf } from './feedWatch.ts'
import { keptStatus } from './keptStatus.ts'
import { LeaderWatch } from './leaderWatch.ts'
import { NodeScrub } from './nodeScrub.ts'
import type { NodeOptions } from './options.ts'

/** The WAL may pass the hard limit for a moment; at so many times that it does not go on as usual. */
const USUAL_WALS = 2

export interface LeaderEngine extends Engine {
  readonly role: 'leader'
  readonly leader: Leader
  /** Gives up the database, fenced and drained, and sends the replicas to `next`. */
  retire(next: Parameters<Leader['handOver']>[0]): Promise<HeldDatabase>
}

/** Opens the database, or goes on with one that this process has followed until now: then nobody else may write before `leader.admitWriters`. */
export async function buildLeader(parts: EngineParts, held?: HeldDatabase): Promise<LeaderEngine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, log, version } = setup
  const startedMs = clock.nowMs()
  const record = nodeFile.record
  const observer = metrics.leader()
  const list = parts.replicas
  const watch = new LeaderWatch(list, readersOf(path))
  let scrub: NodeScrub | undefined
  const leaderOptions: LeaderOptions = {
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
      lineage: () => nodeFile.record.lineage,
      term: () => nodeFile.record.term,
      members: () => parts.members.list(),
      save: (epoch, txidCeiling, begin) => {
        const { lineage } = nodeFile.record
        return nodeFile.update({
          epoch,
          txidCeiling,
          ...(begin ? { lineage: withBegin(lineage, begin) } : {}),
        })
      },
    },
    mayLead: () => parts.mayLead(),
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
      onHigherEpoch: ({ node, epoch, term, advertise }) =>
        parts.onHigherEpoch({ node, epoch, term, address: advertise }),
      onFatal: (error) => parts.onFatal(error),
    },
  }
  const leader: Leader = held
    ? await Leader.takeOver(leaderOptions, parts.thread, held)
    : await Leader.open(leaderOptions, parts.thread)
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
    async forget(node) {
      await parts.peersFile.forget(node)
      parts.members.forget(node)
    },
  }
  /** Ends what stands beside the engine, and then the engine in one way or another. */
  const endWith = async <T>(end: () => Promise<T>): Promise<T> => {
    causes.stop()
    await scrubbing.stop()
    return end()
  }
  return {
    role: 'leader',
    leader,
    view,
    checks: scrubbing,
    announceStop: () => leader.announceStop(),
    tellMember: (member) => leader.tellMember(member),
    stop: () => endWith(() => leader.stop()),
    retire: (next) => endWith(() => leader.handOver(next)),
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
  // Kept while it followed: it leads by now, and the rows are still to be looked at.
  const folder = new KeptFolder(parts.stateFolder, parts.ops, options.maxDiverged, setup.log)
  return {
    role: () => 'leader',
    leaderAddress: () => options.advertise ?? options.listen,
    position: () => leader.position,
    canRead: () => true,
    settle: () => leader.settle(),
    acknowledge: (position, wanted, timeoutMs) => leader.acknowledgements.wait(position, wanted, timeoutMs),
    staleMs: () => 0,
    freshen() {},
    status(): NodeStatus {
      const { node, cluster } = nodeFile.record
      const { epoch, txid, checksum, pageSize, pages, walBytes, capturing, replicas } = leader.status
      folder.look()
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
        ...keptStatus(folder.kept),
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
    reach: (target) => reachFrom(leader.position, target, true, nodeFile.record.lineage),
    refuseReplicas: () => (leader.status.capturing ? undefined : new WalcastError('STARTING')),
    accept: (socket, address) => leader.accept(socket, address),
  }
}
