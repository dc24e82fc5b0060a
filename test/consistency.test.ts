/** What a read asks for, and that waiting for it ends when it is there or its time is over. */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { Consistency } from '../src/http/consistency.ts'
import { PositionCookie } from '../src/http/positionCookie.ts'
import type { NodeView } from '../src/http/view.ts'
import { reachFrom, Waits } from '../src/http/waits.ts'
import { within } from './support/until.ts'

/** Less than the waits here may take: what comes sooner did not end with their time. */
const LESS_MS = 30_000

function setUp(maxWaits = 10) {
  const now = { epoch: 2, incarnation: '00000000000000a2', txid: 10, staleMs: 5, canRead: true, freshened: 0 }
  const reach: NodeView['reach'] = (target) => reachFrom(now, target, false)
  const waits = new Waits(maxWaits, reach)
  const view = {
    reach,
    canRead: () => now.canRead,
    staleMs: () => now.staleMs,
    freshen: () => void now.freshened++,
  } as unknown as NodeView
  const cookie = new PositionCookie('position', () => 'c')
  return { now, waits, consistency: new Consistency(cookie, view, waits) }
}

function asking(headers: Record<string, string>): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  request.headers = headers
  return request
}

test('a read that asks for nothing more than is here lacks nothing', () => {
  const { consistency } = setUp()
  for (const headers of [
    {},
    { 'walcast-position': '2-10' },
    { cookie: 'position=c.1-9' },
    { cookie: 'position=other.9-99' },
    { 'walcast-max-staleness': '5ms' },
    { 'walcast-max-staleness': '1s' },
    // Never part of this history: nothing to wait for.
    { 'walcast-position': '1-99' },
  ] as Record<string, string>[])
    assert.equal(consistency.lacking(asking(headers)), undefined, JSON.stringify(headers))
})

test('what a read lacks is told', () => {
  const { consistency, now } = setUp()
  const lacking = (headers: Record<string, string>) => consistency.lacking(asking(headers))
  const ahead = { epoch: 2, txid: 11 }
  assert.deepEqual(lacking({ 'walcast-position': '2-11' })?.positions, [ahead])
  assert.deepEqual(lacking({ cookie: 'position=c.2-11' })?.positions, [ahead])
  const both = lacking({ 'walcast-position': '3-1', cookie: 'position=c.2-11' })
  assert.deepEqual(both?.positions, [{ epoch: 3, txid: 1 }, ahead])
  assert.equal(lacking({ 'walcast-max-staleness': '4ms' })?.maxStalenessMs, 4)
  now.staleMs = 3000
  assert.equal(lacking({ 'walcast-max-staleness': '2s' })?.maxStalenessMs, 2000)
  now.canRead = false
  assert.deepEqual(lacking({})?.positions, [])
})

test('headers that ask for nothing known are refused', () => {
  const { consistency } = setUp()
  for (const position of ['', 'x', '1', '1-2, 1-3', '1-2-3', '-1-2', '1-2 ', '1-1234567890123456'])
    assert.throws(() => consistency.lacking(asking({ 'walcast-position': position })), { key: 'BAD_REQUEST' })
  for (const staleness of ['', '5', '5 ms', '1.5s', '-1s', '1m', '1s, 2s', '1234567890s'])
    assert.throws(() => consistency.lacking(asking({ 'walcast-max-staleness': staleness })), {
      key: 'BAD_REQUEST',
    })
})

test('a wait ends when the position comes, when it never will, and with its time', async () => {
  const { consistency, now, waits } = setUp()
  const wanted = { positions: [{ epoch: 2, txid: 11 }], maxStalenessMs: undefined }
  const wait = consistency.wait(wanted, 60_000)
  now.txid = 11
  waits.onMoved()
  assert.equal(await within('the position', wait, LESS_MS), undefined)
  const lost = consistency.wait({ positions: [{ epoch: 2, txid: 99 }], maxStalenessMs: undefined }, 60_000)
  now.epoch = 3
  waits.onMoved()
  assert.equal(await within('the end', lost, LESS_MS), undefined)
  const late = { positions: [{ epoch: 3, txid: 99 }], maxStalenessMs: undefined }
  assert.equal(await consistency.wait(late, 5), '3-99')
  assert.equal(await consistency.wait(late, 0), '3-99')
  assert.equal(waits.size, 0)
})

test('a wait for fresh data asks the leader, a few times at most', async () => {
  const { consistency, now, waits } = setUp()
  now.staleMs = 900.2
  const wait = consistency.wait({ positions: [], maxStalenessMs: 100 }, 60_000)
  assert.equal(now.freshened, 1)
  now.staleMs = 100
  waits.onMoved()
  assert.equal(await within('fresh data', wait, LESS_MS), undefined)
  now.staleMs = 900.2
  now.freshened = 0
  assert.equal(await consistency.wait({ positions: [], maxStalenessMs: 100 }, 120), '901ms')
  assert.ok(now.freshened <= 4, `asked ${now.freshened} times`)
})

test('when too many wait already, a read is told at once, and the event loop is not held', async () => {
  const { consistency, now } = setUp(0)
  now.staleMs = 900
  const told = consistency.wait({ positions: [], maxStalenessMs: 100 }, 60_000)
  assert.equal(await within('the answer', told, LESS_MS), '900ms')
  assert.ok(now.freshened <= 1, `asked the leader ${now.freshened} times`)
  assert.equal(
    await consistency.wait({ positions: [{ epoch: 2, txid: 11 }], maxStalenessMs: undefined }, 300),
    '2-11',
  )
  now.canRead = false
  assert.equal(await consistency.wait({ positions: [], maxStalenessMs: undefined }, 300), 'copy')
})

test('data that grew old while a position was waited for is not fresh', async () => {
  const { consistency, now, waits } = setUp()
  const wanted = consistency.lacking(asking({ 'walcast-position': '2-11', 'walcast-max-staleness': '50ms' }))
  assert.ok(wanted)
  const wait = consistency.wait(wanted, 60)
  now.txid = 11
  now.staleMs = 800
  waits.onMoved()
  assert.equal(await wait, '800ms')
})

test('a copy that cannot be read yet is waited for', async () => {
  const { consistency, now, waits } = setUp()
  now.canRead = false
  const wait = consistency.wait({ positions: [], maxStalenessMs: undefined }, 60_000)
  now.canRead = true
  waits.onMoved()
  assert.equal(await within('the copy', wait, LESS_MS), undefined)
  now.canRead = false
  assert.equal(await consistency.wait({ positions: [], maxStalenessMs: undefined }, 5), 'copy')
})

test('a stop ends a wait with its own reason', async () => {
  const { consistency, waits } = setUp()
  const wait = consistency.wait({ positions: [{ epoch: 2, txid: 11 }], maxStalenessMs: undefined }, 60_000)
  waits.close()
  await assert.rejects(wait, { key: 'STOPPING' })
})
