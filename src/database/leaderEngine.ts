/** A node that leads. */
import { containment, historyOf, withIncarnation, withoutIdle } from '../../proto/lineage.ts'
import type { Cause } from '../api/cause.ts'
import { type LagReport, NO_QUEUES } from '../api/nodeView.ts'
import { reachFrom } from '../api/positionWaits.ts'
import { type NodeRecord, putBackMark } from '../cluster/nodeFile.ts'
import { WalcastError } from '../errors.ts'
import { readersOf } from '../health/feedSampler.ts'
import { LeaderSampler } from '../health/leaderSampler.ts'
import { Leader } from '../leader/leader.ts'
import type { LeaderOptions, LeadershipBegun } from '../leader/leaderOptions.ts'
import { ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { KeptFolder } from '../replica/diverged/keptFolder.ts'
import { LagTracker } from '../replica/lag.ts'
import { fileMode } from '../sqlite/fileModes.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { BackgroundChecks } from './backgroundChecks.ts'
import {
  DATABASE_NAME,
  type Engine,
  type EngineParts,
  type EngineStatus,
  type EngineView,
} from './engine.ts'
import { feedLimits } from './feedLimits.ts'
import { keptStatus } from './keptStatus.ts'

/**
 * The WAL may pass the hard limit for a moment; at so many times that it does not go on as usual.
 */
const USUAL_WALS = 2

export interface LeaderEngine extends Engine {
  readonly role: 'leader'
  readonly leader: Leader
  /** Gives up the database, fenced and drained, and sends the replicas to `next`. */
  retire(next: Parameters<Leader['handOver']>[0]): Promise<HeldDatabase>
}

/**
 * Opens the database, or goes on with one that this process has followed until now: then nobody
 * else may write before `leader.admitWriters`.
 */
export async function buildLeader(parts: EngineParts, held?: HeldDatabase): Promise<LeaderEngine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, log, version } = setup
  const record = nodeFile.record
  const observer = metrics.leader()
  const list = parts.replicas
  const watch = new LeaderSampler(list, readersOf(path))
  let upkeep: BackgroundChecks | undefined
  let hasWarned = false
  const leaderOptions: LeaderOptions = {
    db: DATABASE_NAME,
    path,
    stateFolder: parts.stateFolder,
    version,
    address: ownAddress(options),
    identity: {
      node: record.node,
      cluster: record.cluster,
      instance: parts.instance.id,
      incarnation: () => nodeFile.record.incarnation,
      raised: () => {
        const { epoch, putBack } = nodeFile.record
        return putBack?.epoch === epoch ? putBack : undefined
      },
      epoch: () => nodeFile.record.epoch,
      txidCeiling: () => nodeFile.record.txidCeiling,
      lineage: () => nodeFile.record.lineage,
      term: () => nodeFile.record.term,
      members: () => parts.members.list(),
      save: (begun) => nodeFile.update(beginningOf(parts, begun)),
      insist: (begun) => nodeFile.insist(beginningOf(parts, begun)),
      raiseCeiling: (txidCeiling) => nodeFile.update({ txidCeiling }),
    },
    mayLead: () => parts.mayLead(),
    log,
    clock,
    ops: parts.ops,
    checkpoint: {
      softWalFrames: options.softWalFrames,
      hardWalFrames: options.hardWalFrames,
      maxWalBytes: options.maxWalBytes,
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
        if (batch.last) upkeep?.scrub.onMoved()
        parts.onMoved()
      },
      onPass(pass) {
        observer.onPass(pass)
        watch.onPass(pass, clock.nowMs())
      },
      onUnverified(frames) {
        observer.onUnverified(frames)
        // Such an application does it again and again.
        log[hasWarned ? 'debug' : 'warn'](
          { frames },
          'an application whose SQLite is older than 3.41 committed frames without checksums; starting the WAL over, since a crash would lose them',
        )
        hasWarned = true
      },
      onEpoch: () => parts.onMoved(),
      onPutBack: (seen) => parts.onPutBack(seen),
      onHigherEpoch: ({ node, epoch, term, advertise }) =>
        parts.onHigherEpoch({ node, epoch, term, address: advertise }),
      onFatal: (error) => parts.onFatal(error),
    },
  }
  const leader: Leader = held
    ? await Leader.takeOver(leaderOptions, parts.thread, held)
    : await Leader.open(leaderOptions, parts.thread)
  const care = new BackgroundChecks(parts, (nowMs) => explain(leader, watch, options, nowMs), {
    pages: () => leader.scrubbed,
    position: () => leader.position,
    look: () => leader.look(),
    role: () => view.role(),
    status: () => view.status(),
    isTrusted: () => true,
  })
  upkeep = care
  const view = viewOf(leader, care, parts)
  return {
    role: 'leader',
    leader,
    view,
    checks: care.scrub,
    announceStop: () => leader.announceStop(),
    tellMember: (member) => leader.tellMember(member),
    stop: () => care.endWith(() => leader.stop()),
    retire: (next) => care.endWith(() => leader.handOver(next)),
  }
}

/** What the beginning of an incarnation changes of a role file. */
function beginningOf(
  { nodeFile, clock, path }: EngineParts,
  { epoch, term, txid, txidCeiling, begun, stored, putBack }: LeadershipBegun,
): Partial<NodeRecord> {
  const { lineage, node } = nodeFile.record
  const at = new Date(clock.nowMs()).toISOString()
  return {
    epoch,
    term,
    txidCeiling,
    incarnation: begun.id,
    leaderMode: fileMode(path),
    lineage: withIncarnation(withoutIdle(lineage, node, begun.txid, stored), begun),
    ...(putBack ? { putBack: putBackMark(at, { epoch, txid }, putBack) } : {}),
  }
}

function explain(
  leader: Leader,
  watch: LeaderSampler,
  options: NodeOptions,
  nowMs: number,
): Cause[] {
  const { status } = leader
  const usual = USUAL_WALS * options.hardWalFrames * frameBytes(status.pageSize)
  return watch.look(status, { usual, most: USUAL_WALS * options.maxWalBytes }, nowMs)
}

function viewOf(leader: Leader, upkeep: BackgroundChecks, parts: EngineParts): EngineView {
  const { setup, nodeFile, clock } = parts
  const address = ownAddress(setup.options)
  // A leader is behind nobody: its report is the same empty one each time.
  const level = new LagTracker(clock).report()
  // Kept while it followed: it leads by now, and the rows are still to be looked at.
  const folder = new KeptFolder(parts.stateFolder, parts.ops, setup.log)
  return {
    role: () => 'leader',
    leaderAddress: () => address,
    position: () => leader.position,
    incarnation: () => leader.position.incarnation,
    history: () => historyOf(leader.position, nodeFile.record.lineage),
    contains: (point) => containment(leader.position, nodeFile.record.lineage, point) === 'proven',
    canRead: () => true,
    settle: () => leader.settle(),
    acknowledge: (position, wanted, timeoutMs) =>
      leader.acknowledgements.wait(position, wanted, timeoutMs),
    staleMs: () => 0,
    leaderAt: () => ({ ...leader.position, agoMs: 0 }),
    freshen() {},
    status(): EngineStatus {
      const {
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        walFileBytes,
        capturing,
        replicas,
      } = leader.status
      folder.look()
      return {
        state: capturing ? 'capturing' : 'stopped',
        epoch,
        txid,
        checksum,
        pageSize,
        pages,
        walBytes,
        walFileBytes,
        leader: address,
        replicas,
        lag: { lagMs: 0, txidLag: 0, connected: true },
        ...upkeep.status,
        ...keptStatus(folder.kept),
      }
    },
    lag(): LagReport {
      const { txid } = leader.status
      return {
        ...level,
        role: 'leader',
        causes: upkeep.causes,
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
