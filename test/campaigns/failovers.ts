/**
 * Partitions of a simulated cluster that fails over by itself: never do two nodes let writes in,
 * and no acknowledged write is lost. Seeds are new ones each time.
 */
import { randomInt } from 'node:crypto'
import type { TestContext } from 'node:test'
import { OF_A_LEASED_SEED } from '../simulation/seedOptions.ts'
import { simulate } from '../simulation/world.ts'

const MAX_SEED = 2 ** 30

/** `count` seeds, one after another. */
export async function failovers(t: TestContext, count: number): Promise<void> {
  const first = randomInt(MAX_SEED)
  t.diagnostic(`seeds from ${first} on`)
  let moved = 0
  for (let seed = first; seed < first + count; seed++) {
    const asked = { ...OF_A_LEASED_SEED, seed, hasMoves: false, hasElection: true }
    const result = await simulate(asked)
    moved += result.failovers
    if (result.error === undefined) continue
    t.diagnostic(`seed ${seed}: node dist/test/simulation/run.js ${seed} --election`)
    throw result.error
  }
  t.diagnostic(`${count} seeds, ${moved} failovers`)
}
