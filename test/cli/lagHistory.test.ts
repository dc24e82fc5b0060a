/** `walcast lag --since` as text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LagHistoryAnswer } from '../../src/api/lagHistory.ts'
import { lagHistoryText } from '../../src/cli/lagHistory.ts'
import { LAG_HISTORY } from '../../src/cli/lagShapes.ts'
import { FULL_LOOK } from '../../src/cli/terminalLook.ts'
import { pointOf } from '../../src/health/lagRing/lagPoints.ts'
import { NO_PERCENTILES } from '../../src/health/lagRing/slotPercentiles.ts'
import { slotOf, valuesWith } from '../support/lagSlots.ts'

const BEGIN_MS = Date.parse('2026-11-30T12:00:00Z')

const ANSWER: LagHistoryAnswer = {
  node: 'node-b',
  at: '2026-11-30T12:10:00.000Z',
  from: '2026-11-30T12:00:00.000Z',
  to: '2026-11-30T12:10:00.000Z',
  pointSeconds: 60,
  points: [
    slotOf(BEGIN_MS, BEGIN_MS + 60_000, { causes: ['slow-link'] }),
    slotOf(BEGIN_MS + 300_000, BEGIN_MS + 360_000, {
      role: 'leader',
      values: { ...valuesWith({ transactions: 120, walBytes: 5_000_000 }), ...NO_PERCENTILES },
    }),
  ].map((slot) => pointOf([slot])),
  events: [
    {
      at: '2026-11-30T12:04:00.000Z',
      node: 'node-b',
      action: 'promote',
      outcome: 'done',
      role: 'leader',
      epoch: 2,
      txid: 9,
      by: 'ann',
    },
  ],
}

test('a line for each point, a gap as a gap, causes and events below', () => {
  const text = lagHistoryText(ANSWER, FULL_LOOK)
  const [head, columns, first, gap, second] = text.split('\n')
  assert.equal(head, `node-b, ${ANSWER.from} to ${ANSWER.to}, 60 s a line`)
  assert.match(columns, /^from +role +lag +p50 +p95 +p99 +tx\/s +WAL +held +bytes\/s +pauses/)
  assert.match(first, /^2026-11-30T12:00:00\.000Z +replica .*1\.00 ms +2\.00 ms +3\.00 ms/)
  assert.match(gap, /^2026-11-30T12:01:00\.000Z +no measure$/)
  assert.match(second, /^2026-11-30T12:05:00\.000Z +leader +0\.00 ms +- +- +- +2 +4\.8 MiB +19 /)
  assert.match(text, /\ncause +slow-link: 2026-11-30T12:00:00\.000Z to 2026-11-30T12:01:00\.000Z\n/)
  assert.match(text, /promote done/)
  assert.equal(LAG_HISTORY(ANSWER, 'it'), undefined)
})

test('the percentiles of one stage, in as many columns as there are', () => {
  const narrow = { ...FULL_LOOK, columns: 80, isWide: false, nowMs: BEGIN_MS }
  const [, columns, first] = lagHistoryText(ANSWER, narrow, 'applied').split('\n')
  assert.match(columns, /WAL +held$/)
  assert.match(first, /^\d\d:\d\d:\d\d +replica .* 13 ms +14 ms +15 ms/)
  for (const line of lagHistoryText(ANSWER, narrow).split('\n')) assert.ok(line.length <= 80, line)
})

test('a time without measures says so', () => {
  const text = lagHistoryText({ ...ANSWER, points: [], events: [] }, FULL_LOOK)
  assert.match(text, /: nothing was measured\n$/)
})

test('a node that tells no times, or texts that would steer a terminal, is shown anyhow', () => {
  const [point] = ANSWER.points
  const told = '\u001b[2J'
  const points = [{ ...point, from: told, to: told, causes: point.causes }]
  for (const look of [FULL_LOOK, { ...FULL_LOOK, isWide: false, columns: 80 }]) {
    const text = lagHistoryText({ ...ANSWER, node: told, from: told, to: told, points }, look)
    assert.ok(!text.includes('\u001b'), text)
  }
})
