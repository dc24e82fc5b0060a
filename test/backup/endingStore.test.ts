/** What a place is asked is given up when its asker ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndingStore } from '../../src/backup/stores/endingStore.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { isCode } from '../support/storeContract.ts'

const never = () => new Promise<never>(() => {})
const silent: Store = { name: 'a', list: never, open: never, create: never, remove: never }

test('questions that wait and those that come later are given up', async () => {
  const ending = new AbortController()
  const store = new EndingStore(silent, ending.signal)
  const questions = [
    () => store.list('snapshots'),
    () => store.open('a'),
    () => store.create('a', async () => {}),
    () => store.remove('a'),
  ]
  const waiting = questions.map((ask) => ask())
  ending.abort()
  for (const question of [...waiting, ...questions.map((ask) => ask())])
    await assert.rejects(question, isCode('STOPPING'))
})

test('answers and failures of the place go through, reads too', async () => {
  const ending = new AbortController()
  const object = { name: 'o', bytes: 1, read: async () => Buffer.from('x'), close: async () => {} }
  const store = new EndingStore(
    { ...silent, open: async () => object, list: () => Promise.reject(new Error('gone')) },
    ending.signal,
  )
  const opened = await store.open('o')
  assert.equal((await opened.read(0, 1)).toString(), 'x')
  await assert.rejects(store.list('a'), /gone/)
  ending.abort()
  await assert.rejects(opened.read(0, 1), isCode('STOPPING'))
  await opened.close()
})
