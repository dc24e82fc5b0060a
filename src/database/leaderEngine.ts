/** The engine of a database while its node leads: the leader and its checks. */
import { withIncarnation, withoutIdle } from '../../proto/lineage.ts'
import type { Cause } from '../api/cause.ts'
import { type NodeRecord, putBackMark } from '../cluster/nodeRecord.ts'
import { readersOf } from '../health/feedSampler.ts'
import { LeaderSampler } from '../health/leaderSampler.ts'
import { Leader } from '../leader/leader.ts'
import type { LeaderOptions, LeadershipBegun } from '../leader/leaderOptions.ts'
import { ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { KeptFolder } from '../replica/diverged/keptFolder.ts'
import { fileMode } from '../sqlite/fileModes.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import { leaderSource } from './archiveSources.ts'
import { BackgroundChecks } from './backgroundChecks.ts'
import type { Engine, EngineParts } from './engine.ts'
import { feedLimits } from './feedLimits.ts'
import { leaderView } from './leaderView.ts'

/**
 * The WAL may pass the hard limit for a moment. Past this multiple of the limit, something holds
 * it.
 */
const USUAL_WALS = 2

export interface LeaderEngine extends Engine {
  readonly role: 'leader'
  readonly leader: Leader
  /** Gives up the fenced and drained database, and sends the replicas to `next`. */
  retire(next: Parameters<Leader['handOver']>[0]): Promise<HeldDatabase>
}

/**
 * Opens the database, or goes on with one that this process has followed until now (`held`). Then
 * no other process can write before `leader.admitWriters`.
 */
export async function buildLeader(parts: EngineParts, held?: HeldDatabase): Promise<LeaderEngine> {
  const { setup, nodeFile, clock, metrics, path } = parts
  const { options, log, version } = setup
  const record = nodeFile.record
  const observer = metrics.leader()
  const list = parts.replicas
  const sampler = new LeaderSampler(list, readersOf(path))
  let started: BackgroundChecks | undefined
  let hasWarned = false
  const leaderOptions: LeaderOptions = {
    db: parts.db,
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
    countsReplica: (node) => parts.countsReplica(node),
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
    claims: parts.claims,
    observer: {
      ...observer,
      ...metrics.feed(),
      onBatch(batch) {
        observer.onBatch(batch)
        parts.follower?.onBatch(batch)
        if (batch.last) started?.scrub.onMoved()
        parts.onMoved()
      },
      onPass(pass) {
        observer.onPass(pass)
        sampler.onPass(pass, clock.nowMs())
      },
      onUnverified(frames) {
        observer.onUnverified(frames)
        // Such an application does it again and again.
        log[hasWarned ? 'debug' : 'warn'](
          { frames },
          'an application whose SQLite is older than 3.41 committed frames without checksums; ' +
            'starting the WAL over, since a crash would lose them',
        )
        hasWarned = true
      },
      onEpoch: () => {
        parts.follower?.onRestart()
        parts.onMoved()
      },
      onPutBack: (seen) => parts.onNews({ type: 'putBackHeard', seen }),
      onHigherEpoch: ({ node, epoch, term, advertise }) =>
        parts.onNews({
          type: 'higherEpochHeard',
          by: { node, epoch, term, address: advertise },
        }),
      onFatal: (error) => parts.onFatal(error),
    },
  }
  const leader: Leader = held
    ? await Leader.takeOver(leaderOptions, parts.thread, held)
    : await Leader.open(leaderOptions, parts.thread)
  const checks = new BackgroundChecks(parts, (nowMs) => explain(leader, sampler, options, nowMs), {
    pages: () => leader.scrubbed,
    position: () => leader.position,
    look: () => leader.look(),
    role: () => view.role(),
    status: () => view.status(),
    isTrusted: () => true,
  })
  started = checks
  parts.follower?.attach(leaderSource(leader, parts))
  // Rows that this node kept aside while it followed: an operator is still to look at them.
  const bundles = new KeptFolder(parts.stateFolder, parts.ops, log)
  const view = leaderView(leader, checks, bundles, parts)
  return {
    role: 'leader',
    leader,
    view,
    checks: checks.scrub,
    bundles,
    announceStop: () => leader.announceStop(),
    tellMember: (member) => leader.tellMember(member),
    stop: () => checks.endWith(() => leader.stop()).finally(() => endArchiving(parts)),
    retire: (next) =>
      checks.endWith(() => leader.handOver(next)).finally(() => endArchiving(parts)),
  }
}

function endArchiving({ follower, archived }: EngineParts): void {
  follower?.detach()
  archived.endAll()
}

/** What the beginning of an incarnation changes in the role file. */
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
  sampler: LeaderSampler,
  options: NodeOptions,
  nowMs: number,
): Cause[] {
  const { status } = leader
  const usual = USUAL_WALS * options.hardWalFrames * frameBytes(status.pageSize)
  return sampler.look(status, { usual, most: USUAL_WALS * options.maxWalBytes }, nowMs)
}
