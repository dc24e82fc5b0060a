/**
 * Leader, feed, subscription and applier of three nodes in one process, under one simulated clock,
 * network and disk: the real ones, with stand-ins for SQLite, its thread and the sockets alone.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type SimulationOptions, simulate } from './world.ts'

const SEEDS = 200
const FIRST_SEED = 1
const OPTIONS = { nodes: 3, seconds: 20, hasFaults: true, hasMoves: false }
/** Of a failing seed: the whole of it is printed when that seed is run alone. */
const SHOWN_LINES = 200

async function run(t: TestContext, options: SimulationOptions) {
  const result = await simulate(options)
  if (result.error !== undefined) {
    for (const line of result.trace.split('\n').slice(-SHOWN_LINES)) t.diagnostic(line)
    t.diagnostic(`run it alone: node dist/test/simulation/run.js ${options.seed}`)
    throw result.error
  }
  return result
}

test('the same seed gives the same trace, whatever ran before it', async (t) => {
  const first = await run(t, { ...OPTIONS, seed: 7 })
  await run(t, { ...OPTIONS, seed: 8 })
  const second = await run(t, { ...OPTIONS, seed: 7 })
  assert.ok(first.trace.length > 10_000)
  assert.equal(second.trace, first.trace)
})

test('after any faults every replica has what the leader has, and readers never went back', async (t) => {
  let simulatedMs = 0
  let commits = 0
  const beganMs = performance.now()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const result = await run(t, { ...OPTIONS, seed })
    simulatedMs += result.elapsedMs
    commits += result.commits
  }
  const speed = simulatedMs / (performance.now() - beganMs)
  t.diagnostic(`${SEEDS} seeds, ${commits} commits, ${speed.toFixed(0)} simulated seconds a second`)
})
