/** Keys of encrypted files that this process wrote: for how long, and for which files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RECENT_KEY_MS, RecentKeys } from '../../src/backup/recentKeys.ts'

const key = (byte: number) => Buffer.alloc(32, byte)
const header = (text: string) => Buffer.from(text)

test('a key is held for the file of exactly this header, and then forgotten', () => {
  let nowMs = 0
  const keys = new RecentKeys(() => nowMs)
  const given = key(1)
  keys.hold(header('one'), given)
  nowMs = 1
  keys.hold(header('two'), key(2))
  assert.deepEqual(keys.keyOf(header('one')), key(1))
  assert.equal(keys.keyOf(header('onE')), undefined)
  nowMs = RECENT_KEY_MS
  assert.deepEqual(keys.keyOf(header('one')), key(1))
  nowMs = RECENT_KEY_MS + 1
  assert.equal(keys.keyOf(header('one')), undefined)
  assert.deepEqual(keys.keyOf(header('two')), key(2))
  assert.deepEqual(given, key(0), 'it is not left in memory')
})

test('no more keys are held than there may be, the newest ones', () => {
  const keys = new RecentKeys(() => 0)
  for (let i = 0; i < 40_000; i++) keys.hold(header(String(i)), key(1))
  assert.equal(keys.size, 32_768)
  assert.equal(keys.keyOf(header('0')), undefined)
  assert.ok(keys.keyOf(header('39999')))
})
