/** What a person reads while the first copy of a new node is made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopyProgress, type CopySample } from '../../src/cli/copyProgress.ts'

const PAGE = 4096

function copying(remaining: number, total = 25_600): CopySample {
  const sync = { remaining, total, pageSize: PAGE }
  return { state: 'syncing', sync, txid: 0, lag: { txidLag: 0 } }
}

test('bytes, rate and time left, then that it is level', () => {
  const progress = new CopyProgress()
  const text = (sample: CopySample, atMs: number) => progress.next(sample, atMs)?.text
  const nothing = { state: 'connecting', txid: 0, lag: { txidLag: 0 } }
  assert.equal(progress.next(nothing, 0), undefined)
  assert.equal(text(copying(25_600), 1000), 'first copy: 0 %, 0 B of 100.0 MiB')
  assert.equal(
    text(copying(20_480), 2000),
    'first copy: 20 %, 20.0 MiB of 100.0 MiB, 20.0 MiB/s, 4 s left',
  )
  // A stall lowers the rate, and nothing is divided by zero.
  assert.match(text(copying(20_480), 3000) ?? '', /10\.0 MiB\/s, 8 s left$/)
  assert.match(text(copying(20_480), 3000) ?? '', /s left$/)
  const streaming = { state: 'streaming', txid: 7, lag: { txidLag: 2 } }
  assert.equal(progress.next(streaming, 4000), undefined, 'some commits are missing yet')
  assert.deepEqual(progress.next({ ...streaming, lag: { txidLag: 0 } }, 5000), {
    text: 'level with the leader at txid 7',
    isLast: true,
  })
})

test('the rate is that of the last seconds; long times are told in minutes and hours', () => {
  const progress = new CopyProgress()
  for (let second = 0; second < 30; second++) progress.next(copying(25_600), second * 1000)
  assert.match(progress.next(copying(25_599), 30_000)?.text ?? '', /left$/)
  const slow = new CopyProgress()
  slow.next(copying(1_000_000, 1_000_000), 0)
  assert.match(slow.next(copying(999_000, 1_000_000), 1000)?.text ?? '', /, 17 min left$/)
  const slower = new CopyProgress()
  slower.next(copying(1_000_000, 1_000_000), 0)
  assert.match(slower.next(copying(999_990, 1_000_000), 1000)?.text ?? '', /, 28 h left$/)
})
