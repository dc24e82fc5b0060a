/** Which time the screen of lag shows, and the marks and lines that it draws of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry } from '../../../src/api/audit.ts'
import type { LagHistoryAnswer, LagPoint } from '../../../src/api/lagHistory.ts'
import {
  chartDataOf,
  pointAtTime,
  shownHistory,
  withNewer,
} from '../../../src/console/page/lagHistory.ts'
import { causeMarks, eventMarks, grouped, type Mark } from '../../../src/console/page/lagMarks.ts'
import {
  type LagView,
  moved,
  sinceFlags,
  windowOf,
  zoomedBack,
  zoomedIn,
  zoomedTo,
} from '../../../src/console/page/lagView.ts'
import { pointOf } from '../../../src/health/lagRing/lagPoints.ts'
import { slotOf, valuesWith } from '../../support/lagSlots.ts'

const HOUR_MS = 3_600_000
const NOW_MS = Date.parse('2026-11-30T12:00:00Z')
const HOUR: LagView = { span: 'hour', zooms: [] }

test('a zoom leads into a part and back, and never past now', () => {
  assert.deepEqual(windowOf(HOUR, NOW_MS), { fromMs: NOW_MS - HOUR_MS, toMs: NOW_MS })
  const part = zoomedTo(HOUR, { fromMs: NOW_MS - 600_000, toMs: NOW_MS - 300_000 }, NOW_MS)
  const deeper = zoomedIn(part, NOW_MS)
  assert.deepEqual(windowOf(deeper, NOW_MS), { fromMs: NOW_MS - 525_000, toMs: NOW_MS - 375_000 })
  assert.deepEqual(zoomedBack(zoomedBack(deeper)), HOUR)
  assert.deepEqual(zoomedBack(HOUR), HOUR)
  const end = zoomedTo(HOUR, { fromMs: NOW_MS - 1000, toMs: NOW_MS + 9000 }, NOW_MS)
  assert.deepEqual(windowOf(end, NOW_MS), { fromMs: NOW_MS - 60_000, toMs: NOW_MS })
  const about = zoomedIn(HOUR, NOW_MS, NOW_MS - HOUR_MS / 2)
  assert.equal(windowOf(about, NOW_MS).toMs, NOW_MS - HOUR_MS / 4)
  let many = HOUR
  for (let i = 0; i < 100; i++) many = zoomedIn(many, NOW_MS)
  assert.equal(many.zooms.length, 32)
})

test('earlier and later go by half of what is shown, and are one step back', () => {
  const earlier = moved(HOUR, -1, NOW_MS)
  assert.equal(windowOf(earlier, NOW_MS).toMs, NOW_MS - HOUR_MS / 2)
  const twice = moved(earlier, -1, NOW_MS)
  assert.equal(windowOf(twice, NOW_MS).fromMs, NOW_MS - 2 * HOUR_MS)
  assert.equal(twice.zooms.length, 1)
  assert.equal(windowOf(moved(HOUR, 1, NOW_MS), NOW_MS).toMs, NOW_MS)
})

test('the command shows the same time', () => {
  assert.equal(sinceFlags({ span: 'week', zooms: [] }), '--since 7d')
  const part = zoomedTo(HOUR, { fromMs: NOW_MS - 600_000, toMs: NOW_MS }, NOW_MS)
  assert.equal(
    sinceFlags(part),
    '--since 2026-11-30T11:50:00.000Z --until 2026-11-30T12:00:00.000Z',
  )
})

function pointAt(fromMs: number, more: Partial<LagPoint> = {}): LagPoint {
  return { ...pointOf([slotOf(fromMs, fromMs + 10_000)]), ...more }
}

const entryAt = (ms: number, action: AuditEntry['action'] = 'start'): AuditEntry => ({
  at: new Date(ms).toISOString(),
  node: 'node-a',
  action,
  outcome: 'done',
  role: 'leader',
  epoch: 1,
  txid: 1,
  by: 'ann',
})

const answerOf = (
  points: readonly LagPoint[],
  events: readonly AuditEntry[],
): LagHistoryAnswer => ({
  node: 'node-a',
  at: new Date(NOW_MS).toISOString(),
  from: points[0]?.from ?? '',
  to: points.at(-1)?.to ?? '',
  pointSeconds: 10,
  points,
  events,
})

test('points that come later follow, and the last one grows', () => {
  const old = [0, 10_000].map((ms) => pointAt(ms))
  const grown = [pointAt(10_000), pointAt(20_000, { lagMs: 5 })]
  assert.deepEqual(
    withNewer(old, grown).map(({ from }) => Date.parse(from)),
    [0, 10_000, 20_000],
  )
  const longer = [grown[0], pointAt(20_000, { lagMs: 9 })]
  assert.deepEqual(
    withNewer(withNewer(old, grown), longer).map(({ lagMs }) => lagMs),
    [0, 0, 9],
  )
  assert.equal(withNewer(old, []), old)
})

test('lines break where nothing was measured, and a hole has no point', () => {
  const points = [pointAt(0), pointAt(10_000), pointAt(60_000, { percentiles: null })]
  const [times, lag, p50] = chartDataOf({ points, pointSeconds: 10 }, [
    ({ lagMs }) => lagMs,
    ({ percentiles }) => percentiles?.p50Ms ?? null,
  ])
  assert.deepEqual(times, [10, 20, 40, 70])
  assert.deepEqual(lag, [0, 0, null, 0])
  assert.deepEqual(p50, [1, 1, null, null])
  assert.equal(pointAtTime(points, 20), points[1])
  assert.equal(pointAtTime(points, 40), undefined)
})

test('only what lies in the window is shown, newer events among it', () => {
  const window = { fromMs: 10_000, toMs: 30_000 }
  const points = [0, 10_000, 20_000, 30_000].map((ms) => pointAt(ms))
  const answer = answerOf(points, [entryAt(5000), entryAt(15_000)])
  const audit = [entryAt(15_000), entryAt(25_000, 'promote'), entryAt(35_000)]
  const shown = shownHistory(answer, [], audit, window)
  assert.deepEqual(
    shown.points.map(({ to }) => Date.parse(to)),
    [20_000, 30_000],
  )
  assert.deepEqual(
    shown.events.map(({ action }) => action),
    ['start', 'promote'],
  )
})

test('marks that are too close become one, which tells a few of them', () => {
  const marks: Mark[] = [
    ...eventMarks([entryAt(20_000), { ...entryAt(21_000, 'promote'), outcome: 'failed' }], 0),
    ...eventMarks([{ ...entryAt(80_000, 'restore'), detail: '<b>x' }], 0),
  ]
  const [close, far] = grouped(marks, { fromMs: 0, toMs: 100_000 }, 0.05)
  assert.deepEqual(
    [close.kind, close.texts.length, close.from, close.to],
    ['failure', 2, 0.2, 0.21],
  )
  assert.match(far.texts[0], /restore done: <b>x$/)
  const many = Array.from({ length: 20 }, (_, i) => marks[i % 2])
  const [all] = grouped(many, { fromMs: 0, toMs: 1e9 }, 0.5)
  assert.deepEqual([all.texts.length, all.texts.at(-1)], [7, 'and 14 more'])
  const [bar] = grouped(
    causeMarks([{ code: 'slow-link', fromMs: -5000, toMs: 50_000 }], 0),
    { fromMs: 0, toMs: 100_000 },
    0.01,
  )
  assert.deepEqual([bar.from, bar.to, bar.kind], [0, 0.5, 'cause'])
  assert.match(bar.texts[0], /cause slow-link, for 55 s$/)
  assert.deepEqual(grouped([], { fromMs: 0, toMs: 1 }, 0.1), [])
  assert.equal(valuesWith().lagMs, 0)
})
