/**
 * Starts of a large leader, and copies of its database: the first, one that is taken up again, and
 * one that differs somewhere.
 *
 * `start`: from the start of the leader's process until `/readyz` says 200. `newEpoch` is 1 where
 * the leader could not go on where it was, so that replicas have to compare. Before SIGKILL 100
 * rows are changed in one commit, which then lies in the WAL.
 *
 * `copy`, `restart`, `difference`: from the start of the replica's process until it stands where
 * the leader does.
 *
 * For `difference` both are stopped, and another process changes 100 rows spread over the file in
 * one commit. The leader starts and knows no more than that its database was written: pages are
 * compared by their checksums.
 *
 * - `leaderSentMb`, `replicaSentMb`: what passed each way, framing included. The replica's
 *   connection goes through a program that counts it.
 * - `ofFilePercent`: both by the file.
 * - `sentMb`: the leader's own `walcast_send_bytes_total`.
 */

import { freePort } from '../../src/cli/freePorts.ts'
import type { LargePart } from '../options.ts'
import { onLoopback, type Placement } from '../placement.ts'
import type { Child } from '../processes.ts'
import { type Context, resultOf, startProgram } from '../suite.ts'
import type { RunningWalcast } from '../systems/walcast.ts'
import type { LargeCase } from './largeCase.ts'
import {
  type LargeDatabase,
  makeLarge,
  newNodes,
  removeAll,
  resetRss,
  rewrite,
  rssOf,
  secondsOf,
  sentMb,
  TIMEOUT_MS,
  whenLevel,
} from './largeNodes.ts'

const PAGE_BYTES = 4096
/** Rows that change while a replica is away, each on a page of its own. */
const DIFFERENT_ROWS = 100

/** Those of `--parts` that go on the large database. */
export async function measureCopies(context: Context): Promise<LargeCase[]> {
  const { parts, databaseGb } = context.options
  const has = (...some: readonly LargePart[]) => some.some((part) => parts.includes(part))
  context.progress(`make ${databaseGb} GB`)
  const database = await makeLarge(context, databaseGb)
  const cases: LargeCase[] = []
  if (has('start')) cases.push(...(await measureStarts(context, database)))
  if (has('copy', 'restart', 'difference')) {
    const running = newNodes(database.setup)
    await running.startLeader()
    const copy = await measureCopy(context, database, running)
    if (has('copy')) cases.push(copy)
    if (has('restart')) cases.push(await measureRestart(context, database, running))
    // Everything is read on both sides: once is enough.
    if (!has('difference')) await running.verify()
    await running.stop()
  }
  if (has('difference')) cases.push(await measureDifference(context, database))
  await removeAll(context, database.setup)
  return cases
}

async function measureStarts(
  context: Context,
  { setup, fileMb }: LargeDatabase,
): Promise<LargeCase[]> {
  let epoch = 0
  const start = async (
    name: string,
    end: (running: RunningWalcast) => Promise<void>,
  ): Promise<LargeCase> => {
    context.progress(`leader, ${name}`)
    const running = newNodes(setup)
    const seconds = await secondsOf(() => running.startLeader())
    const { leaderRssMb } = rssOf(running)
    const newEpoch = running.epoch === epoch ? 0 : 1
    epoch = running.epoch
    await end(running)
    return { part: 'start', case: name, figures: { fileMb, seconds, leaderRssMb, newEpoch } }
  }
  const first = await start('first start', (running) => running.stop())
  const clean = await start('after a clean stop', async (running) => {
    await rewrite(context, setup, 'spread', DIFFERENT_ROWS)
    await whenLevel(running, 1)
    await running.killLeader()
  })
  return [first, clean, await start('after SIGKILL', (running) => running.stop())]
}

async function measureCopy(
  context: Context,
  { fileMb }: LargeDatabase,
  running: RunningWalcast,
): Promise<LargeCase> {
  context.progress('first copy')
  const measured = await measureLevel(running, () => running.addReplica())
  const sentMbPerSecond = measured.sentMb / measured.seconds
  return { part: 'copy', case: 'first copy', figures: { fileMb, ...measured, sentMbPerSecond } }
}

async function measureRestart(
  context: Context,
  { fileMb }: LargeDatabase,
  running: RunningWalcast,
): Promise<LargeCase> {
  context.progress('replica, after a clean stop')
  await running.stopLastReplica()
  const measured = await measureLevel(running, () => running.startLastReplica())
  return { part: 'restart', case: 'replica, after a clean stop', figures: { fileMb, ...measured } }
}

/** From the start of a replica until it is level. */
async function measureLevel(running: RunningWalcast, start: () => Promise<void>) {
  const before = await sentMb(running)
  resetRss(running)
  const seconds = await secondsOf(async () => {
    await start()
    await whenLevel(running)
  })
  return { seconds, sentMb: (await sentMb(running)) - before, ...rssOf(running) }
}

/** A write while no node runs: the leader cannot tell what changed, so all pages are compared. */
async function measureDifference(
  context: Context,
  { setup, fileMb }: LargeDatabase,
): Promise<LargeCase> {
  context.progress('difference')
  const { changedPages } = await rewrite(context, setup, 'spread', DIFFERENT_ROWS)
  const relayPort = await freePort()
  const placement: Placement = async (node, leader) => {
    const place = await onLoopback(node, leader)
    return leader ? { ...place, leader: `127.0.0.1:${relayPort}` } : place
  }
  const running = newNodes(setup, { placement })
  await running.startLeader()
  const relay = await startRelay(context, relayPort, running)
  const measured = await measureLevel(running, () => running.addReplica())
  await relay.stop()
  const { up, down } = await resultOf(relay, TIMEOUT_MS, ['up', 'down'])
  await running.verify()
  await running.stop()
  const figures = {
    fileMb,
    ...measured,
    changedMb: (changedPages * PAGE_BYTES) / 1e6,
    leaderSentMb: down / 1e6,
    replicaSentMb: up / 1e6,
    ofFilePercent: (100 * (up + down)) / 1e6 / fileMb,
  }
  return { part: 'difference', case: `${DIFFERENT_ROWS} rows`, figures }
}

async function startRelay(
  context: Context,
  listenPort: number,
  running: RunningWalcast,
): Promise<Child> {
  const port = running.leaderAddress?.split(':').at(-1) ?? ''
  const args = ['--listen-port', String(listenPort), '--port', port]
  const relay = await startProgram(context, 'relay', { script: 'programs/countingRelay.js', args })
  relay.go()
  return relay
}
