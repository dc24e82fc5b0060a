/**
 * Which failures a death excuses, and which writes must survive. The torture of balancers judges by
 * these rules.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../support/history.ts'
import {
  dishonestIn,
  executedTwice,
  falseAcksIn,
  feltOf,
  type Interruption,
  withKept,
} from '../../support/interruptions.ts'

const DEATH: Interruption = {
  cause: 'leader node',
  fromMs: 0,
  struckMs: 100,
  diedMs: 110,
  seenMs: 500,
  aloneToMs: 900,
  toMs: 1000,
}
const SWITCHOVER: Interruption = { cause: 'switchover', fromMs: 0, struckMs: 100, toMs: 1000 }

function asked(startMs: number, endMs: number, told: Partial<Exchange> = {}): Exchange {
  return { session: 0, site: 'a', kind: 'transfer', key: 'k', status: 201, startMs, endMs, ...told }
}

test('a death excuses 502, 503 and a cut connection, for requests begun before it', () => {
  const excused = [
    asked(90, 105, { status: 0, code: 'UND_ERR_SOCKET' }),
    asked(105, 400, { status: 502 }),
    asked(499, 20_600, { status: 503 }),
  ]
  assert.deepEqual(dishonestIn(excused, [DEATH]), [])
})

test('a death excuses no request that ended before it or began after it', () => {
  assert.equal(dishonestIn([asked(80, 99, { status: 502 })], [DEATH]).length, 1)
  assert.equal(dishonestIn([asked(500, 600, { status: 503 })], [DEATH]).length, 1)
})

test('a death excuses neither 500 nor 504, nor a client that gave up', () => {
  const failed = [
    asked(105, 400, { status: 500 }),
    asked(105, 400, { status: 504 }),
    asked(105, 400, { status: 409 }),
    asked(105, 400, { status: 0, code: 'UND_ERR_HEADERS_TIMEOUT' }),
  ]
  assert.equal(dishonestIn(failed, [DEATH]).length, failed.length)
})

test('an application that dies breaks no connection', () => {
  const failed = [asked(90, 105, { status: 0, code: 'UND_ERR_SOCKET' })]
  assert.equal(dishonestIn(failed, [{ ...DEATH, cause: 'leader application' }]).length, 1)
})

test('a planned change of leader excuses nothing', () => {
  assert.equal(dishonestIn([asked(90, 120, { status: 503 })], [SWITCHOVER]).length, 1)
})

test('no write is acknowledged while a node is alone, and each write says so', () => {
  const acked = { acked: 'one; replicas=1' }
  const notReplicated = { notReplicated: 'one; replicas=0' }
  assert.deepEqual(falseAcksIn([asked(50, 90, acked), asked(200, 800, notReplicated)], [DEATH]), [])
  assert.equal(falseAcksIn([asked(200, 800, acked)], [DEATH]).length, 1)
  assert.equal(falseAcksIn([asked(50, 90)], [DEATH]).length, 1)
  // Running when the node died, or when it restarted.
  assert.deepEqual(falseAcksIn([asked(105, 120, acked), asked(800, 950, acked)], [DEATH]), [])
})

test('a key known to the application was executed twice, unless its leader died', () => {
  const repeat = { first: asked(90, 120, { status: 502 }), again: asked(160, 200, { status: 409 }) }
  assert.deepEqual(executedTwice([repeat], [DEATH]), [])
  assert.equal(executedTwice([repeat], [{ ...DEATH, cause: 'replica node' }]).length, 1)
  const answered = { ...repeat, again: asked(160, 200) }
  assert.deepEqual(executedTwice([answered], [{ ...DEATH, cause: 'replica node' }]), [])
})

test('a write is safe once the replica was level after it, before the leader died', () => {
  const write = asked(10, 20, { position: '1-7', notReplicated: 'one; replicas=0' })
  const kept = (...marks: Parameters<typeof withKept>[1]) =>
    withKept([write], marks)[0].acked !== undefined
  assert.ok(kept({ what: 'level', atMs: 30 }, { what: 'died', atMs: 40 }))
  assert.ok(!kept({ what: 'died', atMs: 30 }, { what: 'level', atMs: 40 }))
  // Running when its leader died, which may have answered it.
  assert.ok(!kept({ what: 'died', atMs: 15 }, { what: 'level', atMs: 40 }))
  // Running when the positions were compared.
  assert.ok(!kept({ what: 'level', atMs: 15 }))
  assert.ok(
    !kept({ what: 'level', atMs: 15 }, { what: 'died', atMs: 30 }, { what: 'level', atMs: 40 }),
  )
})

test('a pause is how long a client waits for success, its failures included', () => {
  const record = [
    asked(10, 95),
    asked(96, 98, { kind: 'get', status: 200 }),
    asked(99, 300, { status: 502 }),
    asked(120, 180, { session: 1 }),
    asked(310, 395),
    asked(450, 460, { kind: 'get', status: 200 }),
  ]
  assert.deepEqual(feltOf(DEATH, record), {
    asked: 6,
    writePauseMs: 296,
    readPauseMs: 10,
    byStatus: { '200': 2, '201': 3, '502': 1 },
    failures: { '502 transfer': 1 },
  })
})
