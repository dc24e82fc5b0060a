/**
 * Thousands of random runs of two and three nodes: what is promised of roles holds whatever comes
 * in between. Seeds are new ones each time. WALCAST_ROLE_SEED=N begins with that one, and
 * WALCAST_ROLE_RUNS=N says how many follow. A run that fails prints its transcript, which can be
 * kept as a file in `transcripts`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replaceRandom } from '../../src/platform/random.ts'
import { step } from '../../src/roles/roleState.ts'
import { roleFacts } from '../support/drivenRoles.ts'
import { replay } from '../support/roleTranscript.ts'
import { BROKEN_RULES } from '../support/roleWorld/brokenRules.ts'
import { RoleWorld, Violation } from '../support/roleWorld/roleWorld.ts'
import { SeededRandom } from '../support/roleWorld/seededRandom.ts'

const RUNS = Number(process.env['WALCAST_ROLE_RUNS'] ?? 10_000)
/** Enough that each fault is met. */
const BROKEN_RUNS = 2000
const FIRST_SEED = Number(process.env['WALCAST_ROLE_SEED'] ?? Date.now() % 2 ** 31)

interface Run {
  /** What was promised and is not so; undefined when all is. */
  readonly violation: string | undefined
  /** Its transcript, if one was asked for. */
  readonly text: string
}

function run(seed: number, rules: typeof step, isNoting = false): Run {
  const ids = new SeededRandom(seed)
  const restore = replaceRandom({
    random: () => ids.next(),
    randomBytes: (count) => Buffer.from(Array.from({ length: count }, () => ids.between(0, 255))),
    randomUuid: () => assert.fail('no uuid is drawn'),
  })
  const world = new RoleWorld({ seed, step: rules, isNoting })
  try {
    world.run()
    return { violation: undefined, text: world.lines.join('\n') }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { violation: error.message, text: world.lines.join('\n') }
  } finally {
    restore()
  }
}

test(`${RUNS} runs from seed ${FIRST_SEED} on keep what is promised`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    const { violation } = run(seed, step)
    if (violation === undefined) continue
    const { text } = run(seed, step, true)
    assert.fail(
      `${violation}; a transcript to keep in test/roles/transcripts:\n# seed ${seed}\n${text}`,
    )
  }
})

test('the transcript of a run, kept and played again, is the same', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 20; seed++) {
    const { text } = run(seed, step, true)
    assert.equal(replay(text, roleFacts()), text, `seed ${seed}`)
  }
})

test('runs find what is broken', () => {
  for (const [what, rules] of BROKEN_RULES) {
    const seeds = Array.from({ length: BROKEN_RUNS }, (_, i) => FIRST_SEED + i)
    assert.ok(
      seeds.some((seed) => run(seed, rules).violation !== undefined),
      what,
    )
  }
})
