/** Answers for a crowd: few are made, and none is older than its question. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { PacedAnswer } from '../../src/server/pacedAnswer.ts'
import { until } from '../support/until.ts'

const PACE = { free: 1, periodMs: 20, crowd: 1000, crowdPeriodMs: 3_600_000 }

test('a few askers get their own answer, a crowd shares one made after it asked', async () => {
  let made = 0
  const answer = new PacedAnswer(async () => ++made, { ...PACE, free: 3, periodMs: 2000 })
  assert.deepEqual(await Promise.all([answer.get(), answer.get(), answer.get()]), [1, 2, 3])
  const crowd = Array.from({ length: 100 }, () => answer.get())
  assert.deepEqual(new Set(await Promise.all(crowd)), new Set([4]))
  await until('a new period begins', async () => {
    const before = made
    await Promise.all([answer.get(), answer.get()])
    return made === before + 2
  })
})

test('a failure reaches everyone who shares it, and the next answer is tried again', async () => {
  let fails = true
  const answer = new PacedAnswer(
    async () => {
      if (fails) throw new Error('no')
      return 'yes'
    },
    { ...PACE, free: 1, periodMs: 20 },
  )
  const asked = [answer.get(), answer.get(), answer.get()]
  for (const one of await Promise.allSettled(asked)) assert.equal(one.status, 'rejected')
  fails = false
  assert.deepEqual(await Promise.all([answer.get(), answer.get()]), ['yes', 'yes'])
})

test('after a crowd the next shared answer takes longer, and only that one', async () => {
  const clock = mock.timers
  let nowMs = 1000
  mock.method(performance, 'now', () => nowMs)
  clock.enable({ apis: ['setTimeout'] })
  const pass = (ms: number) => {
    nowMs += ms
    clock.tick(ms)
  }
  try {
    let made = 0
    const pace = { free: 1, periodMs: 10, crowd: 3, crowdPeriodMs: 100 }
    const answer = new PacedAnswer(async () => ++made, pace)
    await answer.get()
    const crowd = [answer.get(), answer.get(), answer.get()]
    pass(10)
    assert.deepEqual(await Promise.all(crowd), [2, 2, 2])
    const next = answer.get()
    pass(99)
    assert.equal(made, 2)
    pass(1)
    assert.equal(await next, 3)
    const few = answer.get()
    pass(10)
    assert.equal(await few, 4)
    pass(1000)
    assert.equal(await answer.get(), 5)
  } finally {
    mock.restoreAll()
    clock.reset()
  }
})
