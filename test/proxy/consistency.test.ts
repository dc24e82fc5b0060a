/** What a read asks for. A wait for it ends when it is there or its time is over. */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Position } from '../../proto/position.ts'
import type { DatabaseView } from '../../src/api/databaseView.ts'
import { PositionWaits, reachFrom } from '../../src/api/positionWaits.ts'
import { Consistency, type Wanted } from '../../src/proxy/consistency.ts'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'
import { until, within } from '../support/until.ts'

/** The waits here may take longer: a wait that ends sooner did not run out of time. */
const LESS_MS = 30_000

function setUp(maxWaits = 10) {
  const now = {
    epoch: 2,
    incarnation: '00000000000000a2',
    txid: 10,
    staleMs: 5,
    canRead: true,
    freshened: 0,
    leader: { epoch: 2, txid: 10, agoMs: Number.POSITIVE_INFINITY },
  }
  const reach: DatabaseView['reach'] = (target) => reachFrom(now, target, false)
  const waits = new PositionWaits(maxWaits, reach)
  const view = {
    reach,
    canRead: () => now.canRead,
    staleMs: () => now.staleMs,
    leaderAt: () => now.leader,
    position: () => now,
    freshen: () => void now.freshened++,
  } as unknown as DatabaseView
  const cookie = new PositionCookie('position', () => 'c')
  const signed = (epoch: number, txid: number) => cookie.write({ epoch, txid })?.split(';')[0] ?? ''
  return { now, waits, signed, consistency: new Consistency(cookie, view, waits) }
}

/** A read that came a while ago. */
function wantedOf(
  positions: readonly Position[],
  maxStalenessMs?: number,
  askedMs = performance.now(),
): Wanted {
  return {
    positions: positions.map((each) => ({ ...each, isSigned: true })),
    maxStalenessMs,
    askedMs,
  }
}

const lack = (what: string) => ({ what, isNowhere: false })

function asking(headers: Record<string, string>): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  request.headers = headers
  return request
}

test('a read that asks for no more than is here lacks nothing', () => {
  const { consistency, signed } = setUp()
  for (const headers of [
    {},
    { 'walcast-position': '2-10' },
    { cookie: signed(1, 9) },
    { cookie: 'position=other.9-99' },
    // Values that no node gave.
    { cookie: signed(2, 11).replace('2-11', '2-12') },
    { 'walcast-max-staleness': '5ms' },
    { 'walcast-max-staleness': '1s' },
    // Never part of this history: the read does not wait for it.
    { 'walcast-position': '1-99' },
  ] as Record<string, string>[])
    assert.equal(consistency.lacking(asking(headers)), undefined, JSON.stringify(headers))
})

test('a read is told what it lacks', () => {
  const { consistency, now, signed } = setUp()
  const lacking = (headers: Record<string, string>) => consistency.lacking(asking(headers))
  const ahead = { epoch: 2, txid: 11, isSigned: true }
  assert.deepEqual(lacking({ 'walcast-position': '2-11' })?.positions, [
    { ...ahead, isSigned: false },
  ])
  assert.deepEqual(lacking({ cookie: signed(2, 11) })?.positions, [ahead])
  const both = lacking({ 'walcast-position': '3-1', cookie: signed(2, 11) })
  assert.deepEqual(both?.positions, [{ epoch: 3, txid: 1, isSigned: false }, ahead])
  assert.equal(lacking({ 'walcast-max-staleness': '4ms' })?.maxStalenessMs, 4)
  now.staleMs = 3000
  assert.equal(lacking({ 'walcast-max-staleness': '2s' })?.maxStalenessMs, 2000)
  now.canRead = false
  assert.deepEqual(lacking({})?.positions, [])
})

test('headers that cannot be read are refused', () => {
  const { consistency } = setUp()
  for (const position of ['', 'x', '1', '1-2, 1-3', '1-2-3', '-1-2', '1-2 ', '1-1234567890123456'])
    assert.throws(() => consistency.lacking(asking({ 'walcast-position': position })), {
      key: 'BAD_REQUEST',
    })
  for (const staleness of ['', '5', '5 ms', '1.5s', '-1s', '1m', '1s, 2s', '1234567890s'])
    assert.throws(() => consistency.lacking(asking({ 'walcast-max-staleness': staleness })), {
      key: 'BAD_REQUEST',
    })
})

test('a wait ends when the position comes, when it never will, and with its time', async () => {
  const { consistency, now, waits } = setUp()
  const wanted = wantedOf([{ epoch: 2, txid: 11 }])
  const wait = consistency.wait(wanted, 60_000)
  now.txid = 11
  waits.onMoved()
  assert.equal(await within('the position', wait, LESS_MS), undefined)
  const lost = consistency.wait(wantedOf([{ epoch: 2, txid: 99 }]), 60_000)
  now.epoch = 3
  waits.onMoved()
  assert.equal(await within('the end', lost, LESS_MS), undefined)
  const late = wantedOf([{ epoch: 3, txid: 99 }])
  assert.deepEqual(await consistency.wait(late, 5), lack('3-99'))
  assert.deepEqual(await consistency.wait(late, 0), lack('3-99'))
  assert.equal(waits.size, 0)
})

test('a wait for fresh data asks the leader, a few times at most', async () => {
  const { consistency, now, waits } = setUp()
  now.staleMs = 900.2
  const wait = consistency.wait(wantedOf([], 100), 60_000)
  assert.equal(now.freshened, 1)
  now.staleMs = 100
  waits.onMoved()
  assert.equal(await within('fresh data', wait, LESS_MS), undefined)
  now.staleMs = 900.2
  now.freshened = 0
  assert.deepEqual(await consistency.wait(wantedOf([], 100), 120), lack('901ms'))
  assert.ok(now.freshened <= 4, `asked ${now.freshened} times`)
})

test('a read that finds too many waiting is told at once', async () => {
  const { consistency, now } = setUp(0)
  now.staleMs = 900
  const told = consistency.wait(wantedOf([], 100), 60_000)
  assert.deepEqual(await within('the answer', told, LESS_MS), lack('900ms'))
  assert.ok(now.freshened <= 1, `asked the leader ${now.freshened} times`)
  assert.deepEqual(await consistency.wait(wantedOf([{ epoch: 2, txid: 11 }]), 300), lack('2-11'))
  now.canRead = false
  assert.deepEqual(await consistency.wait(wantedOf([]), 300), lack('copy'))
})

test('data that grows old while a read waits for a position is not fresh', async () => {
  const { consistency, now, waits, signed } = setUp()
  const wanted = consistency.lacking(
    asking({ cookie: signed(2, 11), 'walcast-max-staleness': '50ms' }),
  )
  assert.ok(wanted)
  const wait = consistency.wait(wanted, 60)
  now.txid = 11
  now.staleMs = 80_000
  waits.onMoved()
  assert.deepEqual(await wait, lack('80000ms'))
})

test('a read waits for a copy that is not whole yet', async () => {
  const { consistency, now, waits } = setUp()
  now.canRead = false
  const wait = consistency.wait(wantedOf([]), 60_000)
  now.canRead = true
  waits.onMoved()
  assert.equal(await within('the copy', wait, LESS_MS), undefined)
  now.canRead = false
  assert.deepEqual(await consistency.wait(wantedOf([]), 5), lack('copy'))
})

test('a stop ends a wait with its own reason', async () => {
  const { consistency, waits } = setUp()
  const wait = consistency.wait(wantedOf([{ epoch: 2, txid: 11 }]), 60_000)
  waits.close()
  await assert.rejects(wait, { key: 'STOPPING' })
})

test('a read waits for a position in a header only as far as the leader has come', async () => {
  const { consistency, now, waits } = setUp()
  now.leader.txid = 20
  const wantedAt = (text: string) => {
    const wanted = consistency.lacking(asking({ 'walcast-position': text }))
    assert.ok(wanted)
    return wanted
  }
  const known = consistency.wait(wantedAt('2-20'), 60_000)
  assert.equal(now.freshened, 0, 'the leader has told of it')
  now.txid = 20
  waits.onMoved()
  assert.equal(await within('the position', known, LESS_MS), undefined)

  const given = ['2-21', '2-22', '3-1', '2-99'].map((text) =>
    consistency.wait(wantedAt(text), 60_000),
  )
  assert.equal(now.freshened, 1)
  now.leader = { epoch: 2, txid: 22, agoMs: 60_000 }
  waits.onMoved()
  await until('two wait for their position, two for word of the leader', () => waits.size === 4)
  now.leader.agoMs = 0
  waits.onMoved()
  const nowhere = await within('the verdict', Promise.all(given.slice(2)), LESS_MS)
  assert.deepEqual(nowhere, [
    { what: '3-1', isNowhere: true },
    { what: '2-99', isNowhere: true },
  ])
  now.txid = 22
  waits.onMoved()
  assert.deepEqual(await within('the others', Promise.all(given.slice(0, 2)), LESS_MS), [
    undefined,
    undefined,
  ])
})

test('if the leader cannot be asked, a position may be one that it gave', async () => {
  const { consistency } = setUp()
  const wanted = consistency.lacking(asking({ 'walcast-position': '2-11' }))
  assert.ok(wanted)
  assert.deepEqual(await consistency.wait(wanted, 20), lack('2-11'))
})

test('a staleness of 0 is met by what the leader had when the read came', async () => {
  const { consistency, now, waits } = setUp()
  const wanted = consistency.lacking(asking({ 'walcast-max-staleness': '0ms' }))
  assert.ok(wanted)
  const wait = consistency.wait(wanted, 60_000)
  now.staleMs = 0
  waits.onMoved()
  assert.equal(await within('fresh data', wait, LESS_MS), undefined)
})

test('a leader looks into an epoch in a header only if it is near its own', () => {
  const { consistency, signed } = setUp()
  const later = (headers: Record<string, string>) => consistency.laterEpoch(asking(headers))
  assert.equal(later({ 'walcast-position': '3-1' }), 3)
  assert.equal(later({ 'walcast-position': '999999-1' }), undefined)
  assert.equal(later({ 'walcast-position': '2-99' }), undefined)
  assert.equal(later({ cookie: signed(999, 1) }), 999)
})
