/** Wrong tokens are answered late, then refused, and take no room to speak of. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ATTEMPT_LIMITS, FailedAttempts } from '../../src/security/failedAttempts.ts'
import { until } from '../support/until.ts'

/** Answers that wait do not keep the process alive. */
const alive = setInterval(() => {}, 1000)
after(() => clearInterval(alive))

test('10,000 wrong ones from one address: some late, the rest refused, one entry', async () => {
  const attempts = new FailedAttempts({ ...ATTEMPT_LIMITS, maxDelayMs: 20, forgetMs: 3_600_000 })
  const answers = Array.from({ length: 10_000 }, () => attempts.add('10.0.0.1'))
  assert.ok(attempts.delayed <= ATTEMPT_LIMITS.burst)
  const seconds = await Promise.all(answers)
  assert.equal(seconds.filter((each) => each === 0).length, ATTEMPT_LIMITS.burst)
  assert.ok(seconds.every((each) => each === 0 || (each > 0 && each <= 3600)))
  assert.deepEqual([attempts.size, attempts.delayed], [1, 0])
})

test('many addresses: the table and the answers that wait are bounded', async () => {
  const attempts = new FailedAttempts({ ...ATTEMPT_LIMITS, maxDelayMs: 20 })
  const answers = Array.from({ length: 10_000 }, (_, i) =>
    attempts.add(`10.0.${i >> 8}.${i & 255}`),
  )
  assert.ok(attempts.delayed <= ATTEMPT_LIMITS.maxDelayed)
  assert.equal(attempts.size, ATTEMPT_LIMITS.maxAddresses)
  const seconds = await Promise.all(answers)
  assert.equal(seconds.filter((each) => each === 0).length, ATTEMPT_LIMITS.maxDelayed)
})

test('an address may try again after a while, and no refusal makes that longer', async () => {
  const limits = { ...ATTEMPT_LIMITS, burst: 1, maxDelayMs: 1, forgetMs: 3_600_000 }
  const strict = new FailedAttempts(limits)
  assert.deepEqual([await strict.add('a'), await strict.add('b')], [0, 0])
  const first = await strict.add('a')
  assert.ok(first > 0)
  for (let i = 0; i < 100; i++) assert.ok((await strict.add('a')) <= first)

  const lenient = new FailedAttempts({ ...limits, burst: 2, forgetMs: 5 })
  for (let i = 0; i < 4; i++)
    await until('it may try again', async () => (await lenient.add('a')) === 0)
})
