/** One store for all who use a place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { openedOnce } from '../../src/backup/stores/openedOnce.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'

test('a place is opened once, also by several at a time, and again after that failed', async () => {
  let opened = 0
  const open = openedOnce(async () => {
    if (++opened === 1) throw new Error('not yet')
    return new DirectoryStore('/nowhere', systemFileOps)
  })
  const failed = await Promise.allSettled([open(), open()])
  assert.deepEqual([failed.map(({ status }) => status), opened], [['rejected', 'rejected'], 1])
  const [one, other] = await Promise.all([open(), open()])
  assert.equal(one, other)
  assert.equal(await open(), one)
  assert.equal(opened, 2)
})
