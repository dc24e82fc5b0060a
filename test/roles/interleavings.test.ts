/** Thousands of random runs of two and three nodes: what is promised of roles holds whatever comes in between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replaceRandom } from '../../src/platform/random.ts'
import { step } from '../../src/roles/roleState.ts'
import { BROKEN_RULES } from '../support/roleWorld/brokenRules.ts'
import { RoleWorld, Violation } from '../support/roleWorld/roleWorld.ts'
import { SeededRandom } from '../support/roleWorld/seededRandom.ts'

const RUNS = Number(process.env['ROLE_RUNS'] ?? 10_000)
/** Enough that each fault is met. */
const BROKEN_RUNS = 2000
const FIRST_SEED = Number(process.env['ROLE_SEED'] ?? Date.now() % 2 ** 31)

/** What went wrong with this seed; undefined when nothing did. */
function violationOf(
  seed: number,
  rules: typeof step,
  isNoting = false,
): { what: string; lines: readonly string[] } | undefined {
  const ids = new SeededRandom(seed)
  const restore = replaceRandom({
    random: () => ids.next(),
    randomBytes: (count) => Buffer.from(Array.from({ length: count }, () => ids.between(0, 255))),
    randomUuid: () => assert.fail('no uuid is drawn'),
  })
  const world = new RoleWorld({ seed, step: rules, isNoting })
  try {
    world.run()
    return undefined
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { what: error.message, lines: world.lines }
  } finally {
    restore()
  }
}

test(`${RUNS} runs from seed ${FIRST_SEED} on keep what is promised`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    const violation = violationOf(seed, step)
    if (!violation) continue
    const lines = violationOf(seed, step, true)?.lines ?? []
    assert.fail(`seed ${seed}: ${violation.what}\n# seed ${seed}\n${lines.join('\n')}`)
  }
})

test('runs find what is broken', () => {
  for (const [what, rules] of BROKEN_RULES) {
    const seeds = Array.from({ length: BROKEN_RUNS }, (_, i) => FIRST_SEED + i)
    assert.ok(
      seeds.some((seed) => violationOf(seed, rules)),
      what,
    )
  }
})
