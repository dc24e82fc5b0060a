/** An answer for a crowd: few are made, and none is older than the question. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacedAnswer } from '../src/http/pacedAnswer.ts'
import { until } from './support/until.ts'

test('a few askers have an answer of their own, a crowd shares one that is made after they asked', async () => {
  let made = 0
  const answer = new PacedAnswer(async () => ++made, 3, 2000)
  assert.deepEqual(await Promise.all([answer.get(), answer.get(), answer.get()]), [1, 2, 3])
  const crowd = Array.from({ length: 100 }, () => answer.get())
  assert.deepEqual(new Set(await Promise.all(crowd)), new Set([4]))
  await until('a new period begins', async () => {
    const before = made
    await Promise.all([answer.get(), answer.get()])
    return made === before + 2
  })
})

test('what fails is told to all who asked, and is tried again', async () => {
  let fails = true
  const answer = new PacedAnswer(
    async () => {
      if (fails) throw new Error('no')
      return 'yes'
    },
    1,
    20,
  )
  const asked = [answer.get(), answer.get(), answer.get()]
  for (const one of await Promise.allSettled(asked)) assert.equal(one.status, 'rejected')
  fails = false
  assert.deepEqual(await Promise.all([answer.get(), answer.get()]), ['yes', 'yes'])
})
