/**
 * What writers do to the nodes: one transaction that changes everything, and full speed while a
 * replica stands still.
 *
 * `transaction`: one UPDATE of every row, then VACUUM, each on fresh nodes.
 *
 * - `writerSeconds`: from BEGIN to the return of COMMIT, which includes the writer's own
 *   checkpoint.
 * - `seconds`: from the same BEGIN until the replica shows it.
 * - `leaderWalMb`: the largest size of the leader's WAL file.
 *
 * `stopped`: a writer at full speed, a leader and two replicas. Three rows:
 *
 * - `before`: all run, for 20 s at most.
 * - `one stopped`: one replica is stopped (SIGSTOP) for `--stop-seconds`.
 * - `level again`: the writer has ended. From SIGCONT until both replicas stand where the leader
 *   does, and what the leader sent in that time, to the two of them.
 *
 * Its columns:
 *
 * - `lagP99Ms`: of the other replica, by its own report of the last minute. With fewer than 60
 *   seconds it has some of the time before in it.
 * - `commitsPerSecond`: of both rows together. On two cores full speed beside three nodes is what
 *   they leave of the cores.
 * - `replicaRssMb`: in `level again` of the replica that was stopped, in the rows before of the
 *   other.
 */
import { pause } from '../processes.ts'
import { type Context, resultOf, startProgram } from '../suite.ts'
import { leaderPath, type RunningWalcast } from '../systems/walcast.ts'
import { writer } from '../writing.ts'
import type { LargeCase } from './largeCase.ts'
import {
  makeLarge,
  newNodes,
  removeAll,
  resetRss,
  rewrite,
  rssOf,
  secondsOf,
  sentMb,
  TIMEOUT_MS,
  watchWal,
  whenLevel,
} from './largeNodes.ts'

/** With both replicas running, before one is stopped. */
const MAX_BEFORE_SECONDS = 20
/** Of the two: one follows, the other one stands still. */
const FOLLOWING = 1
const STOPPED = 2
const TRANSACTIONS = { update: 'update of every row', vacuum: 'vacuum' } as const

export async function measureTransactions(context: Context): Promise<LargeCase[]> {
  const { setup, fileMb } = await makeLarge(context, context.options.transactionGb)
  const cases: LargeCase[] = []
  for (const what of ['update', 'vacuum'] as const) {
    context.progress(TRANSACTIONS[what])
    // Fresh processes, so that memory of the last transaction does not count.
    const running = newNodes(setup)
    await running.startLeader()
    await running.addReplica()
    await whenLevel(running)
    resetRss(running)
    const walMb = watchWal(leaderPath(setup))
    const { begunMs, seconds: writerSeconds } = await rewrite(context, setup, what)
    await whenLevel(running, 1)
    const seconds = (performance.now() - begunMs) / 1000
    const figures = { fileMb, writerSeconds, seconds, ...rssOf(running), leaderWalMb: walMb() }
    await running.verify()
    await running.stop()
    cases.push({ part: 'transaction', case: TRANSACTIONS[what], figures })
  }
  await removeAll(context, setup)
  return cases
}

export async function measureStopped(context: Context): Promise<LargeCase[]> {
  const { stopSeconds, transactionGb } = context.options
  context.progress('stopped')
  const { setup, fileMb } = await makeLarge(context, transactionGb)
  const running = newNodes(setup)
  await running.startLeader()
  for (const _ of [FOLLOWING, STOPPED]) await running.addReplica()
  await whenLevel(running)
  const beforeSeconds = Math.min(MAX_BEFORE_SECONDS, stopSeconds)
  const writing = {
    kind: 'full',
    seconds: beforeSeconds + stopSeconds,
    autocheckpoint: 1000,
  } as const
  const child = await startProgram(context, 'writer', writer(running.primary, writing))
  child.go()
  const before = await watchFor(running, leaderPath(setup), () => pause(beforeSeconds * 1000))
  const { pid } = running.nodes[STOPPED]
  process.kill(pid, 'SIGSTOP')
  let commits = 0
  const during = await watchFor(running, leaderPath(setup), async () => {
    commits = (await resultOf(child, TIMEOUT_MS, ['commits'])).commits
  })
  const sentBefore = await sentMb(running)
  resetRss(running)
  process.kill(pid, 'SIGCONT')
  const seconds = await secondsOf(() => whenLevel(running, commits))
  const after = {
    seconds,
    sentMb: (await sentMb(running)) - sentBefore,
    ...rssOf(running, STOPPED),
  }
  const commitsPerSecond = commits / (beforeSeconds + stopSeconds)
  await running.verify()
  await running.stop()
  await removeAll(context, setup)
  return [
    { part: 'stopped', case: 'before', figures: { fileMb, commitsPerSecond, ...before } },
    { part: 'stopped', case: 'one stopped', figures: { fileMb, commitsPerSecond, ...during } },
    { part: 'stopped', case: 'level again', figures: { fileMb, ...after } },
  ]
}

/** What the leader uses, and how far the following replica is behind, while something runs. */
async function watchFor(running: RunningWalcast, path: string, what: () => Promise<unknown>) {
  resetRss(running)
  const walMb = watchWal(path)
  await what()
  return { leaderWalMb: walMb(), ...rssOf(running), lagP99Ms: await running.lagP99Ms(FOLLOWING) }
}
