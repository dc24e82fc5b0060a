/**
 * Three nodes in one process, under one simulated clock, network and disk: roles, capture,
 * checkpoints, feed, relay, subscription, applier, copy and role file are the real ones, and so are
 * the routes by which nodes ask and tell each other. SQLite, its thread, sockets, files and the
 * clients' side of a node are stand-ins.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { propertyRuns } from '../support/propertyRuns.ts'
import { OF_A_LEASED_SEED, OF_A_SEED } from './seedOptions.ts'
import { type SimulationResult, simulate } from './world.ts'

/** How many: the first ones. The campaign has fifteen times as many. */
const SEEDS = { still: propertyRuns(100, 15), moving: propertyRuns(225, 15) }
/** Of nodes that fail over by themselves; the campaign `failovers.ts` has a thousand. */
const LEASED_SEEDS = propertyRuns(60, 10)
/** Of a failing seed: the whole of it is printed when that seed is run alone. */
const SHOWN_LINES = 200

async function run(t: TestContext, seed: number, hasMoves: boolean): Promise<SimulationResult> {
  const result = await simulate({ ...OF_A_SEED, seed, hasMoves, hasElection: false })
  if (result.error === undefined) return result
  for (const line of result.trace.split('\n').slice(-SHOWN_LINES)) t.diagnostic(line)
  const moves = hasMoves ? ' --moves' : ''
  t.diagnostic(`seed ${seed}: node dist/test/simulation/run.js ${seed}${moves}`)
  throw result.error
}

/** How fast it was is told, and not asserted. */
async function runAll(t: TestContext, hasMoves: boolean): Promise<void> {
  let [simulatedMs, commits] = [0, 0]
  const began = process.cpuUsage()
  const seeds = hasMoves ? SEEDS.moving : SEEDS.still
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await run(t, seed, hasMoves)
    simulatedMs += result.elapsedMs
    commits += result.commits
  }
  const { user, system } = process.cpuUsage(began)
  const speed = (simulatedMs / ((user + system) / 1000)).toFixed(0)
  t.diagnostic(`${seeds} seeds, ${commits} commits`)
  t.diagnostic(`${speed} simulated seconds a second of processor time`)
}

test('the same seed gives the same trace, whatever ran before it', async (t) => {
  const first = await run(t, 7, true)
  await run(t, 8, true)
  const second = await run(t, 7, true)
  assert.ok(first.trace.length > 10_000)
  assert.equal(second.trace, first.trace)
})

test('after partitions, cuts and crashes each replica has what the leader has', (t) =>
  runAll(t, false))

test('leadership moves and is lost, and each node ends with what the last leader has', (t) =>
  runAll(t, true))

test('with a lock service nodes fail over: one writes at a time, nothing is lost', async (t) => {
  let failovers = 0
  for (let seed = 1; seed <= LEASED_SEEDS; seed++) {
    const asked = { ...OF_A_LEASED_SEED, seed, hasMoves: false, hasElection: true }
    const result = await simulate(asked)
    failovers += result.failovers
    if (result.error === undefined) continue
    for (const line of result.trace.split('\n').slice(-SHOWN_LINES)) t.diagnostic(line)
    t.diagnostic(`seed ${seed}: node dist/test/simulation/run.js ${seed} --election`)
    throw result.error
  }
  t.diagnostic(`${LEASED_SEEDS} seeds, ${failovers} failovers`)
  assert.ok(failovers > 0, 'no leader was replaced')
})
