/** What a person reads while a copy of the leader's database is made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CopyReport,
  type CopySample,
  copyProgress,
  reportCopies,
} from '../../src/cli/copyProgress.ts'
import { ProgressOutput } from '../../src/cli/progressOutput.ts'
import { SteppedTime, written } from '../support/progressStream.ts'

const PAGE = 4096

function copying(remaining: number, txid = 0): CopySample {
  const sync = { remaining, total: 25_600, pageSize: PAGE }
  return { state: 'syncing', sync, txid, lag: { txidLag: 0 } }
}

test('pages that came, or are equal, count; a copy that has a position is put level again', () => {
  const nothing = { state: 'connecting', txid: 0, lag: { txidLag: 0 } }
  assert.equal(copyProgress(nothing), undefined)
  const total = 25_600 * PAGE
  const first = { phase: 'first copy', done: 5120 * PAGE, total, unit: 'bytes' }
  assert.deepEqual(copyProgress(copying(20_480)), first)
  assert.equal(copyProgress(copying(20_480, 7))?.phase, 'resync')
})

test('it is said once when each copy is level, and nothing of what is quick', (t) => {
  const time = new SteppedTime(t)
  const said: string[] = []
  const { stream, lines } = written({ isTTY: false, columns: 0 })
  const report = new CopyReport(new ProgressOutput(false, stream, {}), (text) => said.push(text))
  const streaming = (txid: number, txidLag = 0) => ({ state: 'streaming', txid, lag: { txidLag } })
  report.look(streaming(3))
  assert.deepEqual(said, [], 'no copy was made')
  for (const remaining of [25_600, 20_480, 15_360]) {
    report.look(copying(remaining, 3))
    time.pass(6000)
  }
  assert.deepEqual(lines(), ['resync: 20 %, 20.0 MiB of 100.0 MiB, 2.0 MiB/s, 40 s left'])
  report.look({ ...streaming(3), state: 'connecting' })
  time.pass(60_000)
  assert.equal(lines().length, 1, 'nothing is copied while the leader is away')
  report.look(streaming(9, 2))
  assert.deepEqual(said, [], 'some commits are missing yet')
  report.look(streaming(11))
  report.look(streaming(12))
  assert.deepEqual(said, ['level with the leader at txid 11'])
  report.look(copying(100, 12))
  report.look(streaming(13))
  assert.deepEqual(said.slice(1), ['level with the leader at txid 13'])
})

test('a copy that is expected is told of even if nobody saw it come', () => {
  const said: string[] = []
  const { stream } = written({ isTTY: false, columns: 0 })
  const output = new ProgressOutput(false, stream, {})
  const report = new CopyReport(output, (text) => said.push(text), true)
  report.look({ state: 'connecting', txid: 0, lag: { txidLag: 0 } })
  report.look({ state: 'streaming', txid: 1, lag: { txidLag: 0 } })
  assert.deepEqual(said, ['level with the leader at txid 1'])
})

test('a node that has no status just now is asked again, and lives on', (t) => {
  const time = new SteppedTime(t)
  const said: string[] = []
  let looks = 0
  const status = () => {
    looks++
    throw new Error('it stops')
  }
  const end = reportCopies({ status }, (text) => said.push(text), { hasBar: false })
  time.pass(3000)
  assert.equal(looks, 4)
  end()
  time.pass(3000)
  assert.deepEqual([looks, said], [4, []])
})
