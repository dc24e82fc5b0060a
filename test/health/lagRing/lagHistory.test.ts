/** A node's history of lag: whose questions it answers, and from what. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LAG_HISTORY_MS } from '../../../src/api/lagHistory.ts'
import { keyOf } from '../../../src/errors.ts'
import { lagHistoryIn, writeWeek } from '../../support/lagWeeks.ts'

const NOW_MS = Date.parse('2026-11-30T12:00:00Z')
const WEEK = { fromMs: NOW_MS - LAG_HISTORY_MS, toMs: NOW_MS, points: 120 }

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-lag-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('one asker cannot shut others out', async (t) => {
  const folder = folderOf(t)
  writeWeek(folder, NOW_MS, 10)
  const history = lagHistoryIn(folder, () => NOW_MS)
  t.after(() => history.stop())
  const outcomes = Array.from({ length: 40 }, () => history.answer(WEEK, 'greedy').catch(keyOf))
  assert.equal((await history.answer(WEEK, 'other')).points.length, 1)
  const refused = (await Promise.all(outcomes)).filter((each) => each === 'LAG_HISTORY_BUSY')
  assert.equal(refused.length, 40 - 17)
})

test('a week is decoded once, and goes on with what is measured', async (t) => {
  const folder = folderOf(t)
  const minutes = LAG_HISTORY_MS / 60_000
  writeWeek(folder, NOW_MS, minutes)
  const history = lagHistoryIn(folder, () => NOW_MS)
  t.after(() => history.stop())
  const first = await history.answer(WEEK, 'a')
  // Nothing is read any more.
  writeFileSync(join(folder, 'lag-week.ring'), '')
  assert.deepEqual(await history.answer(WEEK, 'a'), first)
  const { points } = await history.answer({ ...WEEK, points: 500 }, 'a')
  assert.equal(points.at(-1)?.lagMs, minutes)
  const measuredSeconds = points.reduce((sum, point) => sum + point.measuredSeconds, 0)
  assert.equal(Math.round(measuredSeconds), LAG_HISTORY_MS / 1000)
})
