/** Leases in an S3 store: over real HTTP, with what goes wrong there. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WalcastError } from '../../../src/errors.ts'
import { type Lease, MAX_CANDIDATE_NOTES } from '../../../src/roles/election/leaseService.ts'
import { openS3Lease } from '../../../src/roles/election/s3Lease.ts'
import { leaseContract } from '../../support/leaseContract.ts'
import {
  type Fault,
  type S3Behaviour,
  type S3Exchange,
  type S3Server,
  s3Server,
  TEST_ENVIRONMENT,
  TEST_KEYS,
} from '../../support/s3Server.ts'
import { isCode } from '../../support/storeContract.ts'
import { until } from '../../support/until.ts'

const PREFIX = 'walcast/orders'
const LEAD = `ha/${PREFIX}/lead`
/** Long enough for nothing to end by itself in a test. */
const LONG_MS = 60_000

interface Given {
  readonly node?: string
  readonly ttlMs?: number
  readonly timeoutMs?: number
  readonly prefix?: string
}

const leaseAt = (
  { endpoint, bucket }: S3Server,
  { node = 'node-a', ttlMs = LONG_MS, timeoutMs = 10_000, prefix = PREFIX }: Given = {},
) => {
  const setup = { node, prefix, ttlMs, timeoutMs }
  return openS3Lease(`s3://${bucket}/ha?endpoint=${endpoint}`, setup, TEST_ENVIRONMENT)
}

async function stand(t: TestContext, given: Given = {}, behaviour: Partial<S3Behaviour> = {}) {
  const server = await s3Server(t, behaviour)
  const a = leaseAt(server, given)
  const b = leaseAt(server, { ...given, node: 'node-b' })
  t.after(() => Promise.all([a.close(), b.close()]))
  return { server, a, b }
}

/** The next write of the lease meets this fault. */
function spoilNextWrite(server: S3Server, fault: Fault): void {
  let isMet = false
  server.behaviour.fault = ({ method, key }: S3Exchange) => {
    if (isMet || method !== 'PUT' || key !== LEAD) return undefined
    isMet = true
    return fault
  }
}

async function taken(service: ReturnType<typeof leaseAt>, value = 'a leads'): Promise<Lease> {
  const lease = await service.take((await service.look()).mark, value)
  assert.ok(lease)
  return lease
}

const isAway = isCode('ELECTION_AWAY')

const failureOf = (promise: Promise<unknown>): Promise<WalcastError> =>
  promise.then(
    () => assert.fail('it did not fail'),
    (error) => {
      assert.ok(error instanceof WalcastError)
      return error
    },
  )

test('an S3 store keeps what every lock service promises', async (t) => {
  const server = await s3Server(t)
  await leaseContract(t, {
    open: (node, prefix) => leaseAt(server, { node, prefix, ttlMs: 3000 }),
  })
})

test('stores that do not honour conditions are refused, each with its reason', async (t) => {
  for (const [behaviour, reason] of [
    [{ conditional: 'ignored' }, /carries out a write with If-None-Match/],
    [{ conditional: 'refused' }, /refuses conditional writes: .*501 NotImplemented/],
    [{ replaces: 'ignored' }, /carries out a write with If-Match with a wrong ETag/],
    [{ replaces: 'refused' }, /refuses conditional writes: .*501 NotImplemented/],
    [{ replaces: 'two at once' }, /of 4 writes at once with If-Match several succeed/],
  ] as const) {
    const { server, a } = await stand(t, {}, behaviour)
    const error = await failureOf(a.probe())
    assert.equal(error.key, 'ELECTION_UNFIT')
    assert.match(error.message, reason)
    assert.deepEqual([...server.objects.keys()], [], 'nothing is left')
  }
})

test('nothing is taken in a store that was not probed, or not with success', async (t) => {
  const { server, a } = await stand(t, {}, { replaces: 'ignored' })
  const { mark } = await a.look()
  for (const key of ['ELECTION_UNFIT', 'ELECTION_UNFIT'] as const)
    await assert.rejects(a.take(mark, 'a leads'), isCode(key))
  assert.equal(server.objects.has(LEAD), false)
  const { server: slow, a: later } = await stand(t)
  slow.behaviour.fault = () => 'cut'
  await assert.rejects(later.probe(), isAway)
  await assert.rejects(later.take('absent', 'a leads'), isAway)
  slow.behaviour.fault = () => undefined
  await taken(later)
})

test('a store that honours conditions only of objects that are there is refused', async (t) => {
  const { server, a } = await stand(t)
  // A store that takes "no object" for "no condition".
  server.behaviour.fault = ({ key, headers }) => {
    if (key.includes('/probe/')) {
      const isThere = server.objects.has(key)
      server.behaviour.replaces = headers['if-match'] && !isThere ? 'ignored' : 'honoured'
    }
    return undefined
  }
  const error = await failureOf(a.probe())
  assert.equal(error.key, 'ELECTION_UNFIT')
  assert.match(error.message, /If-Match over an object that is gone/)
})

test('a store whose reads are behind its writes is refused', async (t) => {
  const { server, a } = await stand(t)
  server.behaviour.fault = ({ method }) =>
    method === 'GET' ? { status: 200, body: 'older', headers: { etag: '"older"' } } : undefined
  const error = await failureOf(a.probe())
  assert.match(error.message, /a read does not give what was written last/)
})

test('a probe finds that keys may not see that an object is not there', async (t) => {
  const { a } = await stand(t, {}, { hidesMissing: true })
  const error = await failureOf(a.probe())
  assert.equal(error.key, 'ELECTION_AWAY')
  assert.match(error.message, /403 AccessDenied; give these keys the rights that docs\/backup\/s3/)
})

test('a probe leaves nothing, and two at once do not mislead each other', async (t) => {
  const { server, a, b } = await stand(t)
  await Promise.all([a.probe(), b.probe()])
  assert.deepEqual([...server.objects.keys()], [])
})

test('a store that is away is said to be so, in time and without keys', async (t) => {
  const { server, a } = await stand(t)
  const hasty = leaseAt(server, { timeoutMs: 200 })
  t.after(() => hasty.close())
  for (const fault of [
    'cut',
    'silence',
    { status: 503, code: 'SlowDown' },
    { status: 403, code: 'AccessDenied' },
    { status: 200, body: 'x'.repeat(100_000), headers: { etag: '"x"' } },
    { status: 200, body: '{"format":1}', headers: { etag: '"x"' } },
    { status: 200, body: '{}', headers: { etag: 'W/"weak"' } },
    { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
  ] as const) {
    server.behaviour.fault = () => fault
    const error = await failureOf((fault === 'silence' ? hasty : a).look())
    assert.equal(error.key, 'ELECTION_AWAY', JSON.stringify(fault))
    assert.ok(!error.line.includes(TEST_KEYS.secretAccessKey))
    assert.ok(!error.line.includes(TEST_KEYS.accessKeyId))
    assert.equal(error.details['service'], a.name)
  }
  server.behaviour.fault = () => undefined
  const { isHeld } = await a.look()
  assert.equal(isHeld, false)
})

test('a clock that is far off fails one call, and the next one follows the store', async (t) => {
  const { server, a } = await stand(t)
  server.behaviour.skewMs = 20 * 60_000
  const error = await failureOf(a.look())
  assert.match(error.message, /RequestTimeTooSkewed; set the clock of this machine/)
  assert.equal((await a.look()).isHeld, false)
})

test('one call is one attempt', async (t) => {
  const { server, a } = await stand(t)
  const lease = await taken(a)
  for (const fault of ['cut', 'failed though done', { status: 500 }] as const) {
    spoilNextWrite(server, fault)
    const asked = server.log.length
    await assert.rejects(a.renew(lease), isAway)
    assert.equal(server.log.length, asked + 1)
  }
  assert.ok(await a.renew(lease))
})

test('a renewal that was done though its answer was lost is known again', async (t) => {
  for (const fault of ['lost answer', 'failed though done'] as const) {
    const { server, a, b } = await stand(t)
    const lease = await taken(a)
    spoilNextWrite(server, fault)
    await assert.rejects(a.renew(lease), isAway)
    const renewed = await a.renew(lease)
    assert.ok(renewed && renewed.sentMs > lease.sentMs)
    assert.equal(await a.amend(renewed, 'a leads still'), true)
    assert.equal((await b.look()).value, 'a leads still')
  }
})

test('a write that something on its way has sent twice is known by its nonce', async (t) => {
  const { server, a, b } = await stand(t)
  const { mark } = await a.look()
  spoilNextWrite(server, 'sent twice')
  const lease = await a.take(mark, '1')
  assert.ok(lease)
  spoilNextWrite(server, 'sent twice')
  assert.ok(await a.renew(lease))
  spoilNextWrite(server, 'sent twice')
  assert.equal(await a.release(lease, '2'), true)
  const { value, isHeld } = await b.look()
  assert.deepEqual([value, isHeld], ['2', false])
})

test('an amendment that was lost is written by the next one or not at all', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a, '1')
  spoilNextWrite(server, 'lost answer')
  await assert.rejects(a.amend(lease, '2'), isAway)
  assert.ok(await a.renew(lease))
  assert.equal((await b.look()).value, '2', 'a renewal does not put the value back')
  spoilNextWrite(server, 'cut')
  await assert.rejects(a.amend(lease, '3'), isAway)
  assert.ok(await a.renew(lease))
  assert.equal((await b.look()).value, '2')
})

test('a release that was done though its answer was lost is known again, once', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a)
  spoilNextWrite(server, 'lost answer')
  await assert.rejects(a.release(lease, 'for b'), isAway)
  assert.equal(await a.release(lease, 'for b'), true)
  assert.equal(await a.release(lease, 'for b'), false)
  const { value, isHeld, mark } = await b.look()
  assert.deepEqual([value, isHeld], ['for b', false])
  assert.ok(await b.take(mark, 'b leads'))
  assert.equal(await a.release(lease), false)
})

test('a release that was done with another value is said to be none', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a)
  spoilNextWrite(server, 'lost answer')
  await assert.rejects(a.release(lease, 'for b'), isAway)
  assert.equal(await a.release(lease, 'for c'), false)
  assert.equal((await b.look()).value, 'for b')
})

test('renewals and amendments at once do not lose each other', async (t) => {
  const { a, b } = await stand(t)
  const lease = await taken(a, '1')
  const [renewed, amended, again] = await Promise.all([
    a.renew(lease),
    a.amend(lease, '2'),
    a.renew(lease),
  ])
  assert.ok(renewed && amended && again)
  assert.equal((await b.look()).value, '2')
})

test('a take whose answer was lost is an orphan, which the next look releases', async (t) => {
  const { server, a, b } = await stand(t)
  const { mark } = await a.look()
  spoilNextWrite(server, 'lost answer')
  await assert.rejects(a.take(mark, 'a leads'), isAway)
  assert.equal((await b.look()).isHeld, true, 'others cannot know')
  assert.equal((await a.look()).isHeld, false)
  const seen = await b.look()
  assert.deepEqual([seen.value, seen.isHeld], ['a leads', false])
  assert.ok(await b.take(seen.mark, 'b leads'))
})

test('an orphan that could not be released can be taken by its own process', async (t) => {
  const { server, a, b } = await stand(t)
  const { mark } = await a.look()
  spoilNextWrite(server, 'lost answer')
  await assert.rejects(a.take(mark, 'a leads'), isAway)
  spoilNextWrite(server, 'cut')
  const orphan = await a.look()
  assert.equal(orphan.isHeld, false)
  assert.equal((await b.look()).isHeld, true)
  assert.ok(await a.take(orphan.mark, 'a leads at last'))
  assert.equal((await b.look()).value, 'a leads at last')
})

test('a take that is done long after it was given up harms nobody', async (t) => {
  const { server, a, b } = await stand(t)
  const { mark } = await a.look()
  spoilNextWrite(server, 'done later')
  await assert.rejects(a.take(mark, 'a leads'), isAway)
  const lease = await taken(b, 'b leads')
  server.doLate.pop()?.()
  assert.equal((await a.look()).value, 'b leads', 'it came too late')
  assert.equal(await b.release(lease), true)

  const { mark: free } = await a.look()
  spoilNextWrite(server, 'done later')
  await assert.rejects(a.take(free, 'a leads'), isAway)
  server.doLate.pop()?.()
  assert.equal((await b.look()).isHeld, true, 'nobody was before it')
  assert.equal((await a.look()).isHeld, false)
  assert.equal((await b.look()).isHeld, false)
})

test('a renewal that is done long after it was given up harms nobody', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a)
  spoilNextWrite(server, 'done later')
  await assert.rejects(a.renew(lease), isAway)
  assert.equal(await a.release(lease), true)
  server.doLate.pop()?.()
  assert.equal((await b.look()).isHeld, false)
})

test('a lease is no orphan while the answer of its write is on its way', async (t) => {
  const { server, a, b } = await stand(t)
  const { mark } = await a.look()
  spoilNextWrite(server, 'answered later')
  const taking = a.take(mark, 'a leads')
  await until('the answer is held back', () => server.doLate.length === 1)
  assert.equal((await a.look()).isHeld, true)
  server.doLate.pop()?.()
  const lease = await taking
  assert.ok(lease)
  assert.ok(await a.renew(lease))
  assert.equal((await b.look()).isHeld, true)
})

test('another process releases a lease whose id it knows', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a)
  const guard = leaseAt(server)
  t.after(() => guard.close())
  assert.equal(await guard.release(lease), true)
  assert.equal((await b.look()).isHeld, false)
  assert.equal(await a.renew(lease), undefined)
})

test('an object that is removed, or put back, frees no lease before its TTL', async (t) => {
  const { server, a, b } = await stand(t)
  const lease = await taken(a, '1')
  assert.equal(await a.release(lease), true)
  const old = server.objects.get(LEAD)
  const later = await taken(a, '2')
  assert.equal((await b.look()).isHeld, true)
  server.objects.delete(LEAD)
  const gone = await b.look()
  assert.deepEqual([gone.value, gone.isHeld], [undefined, true])
  assert.equal(await b.take(gone.mark, 'b leads'), undefined)
  assert.ok(old)
  server.objects.set(LEAD, old)
  assert.equal((await b.look()).isHeld, true)
  assert.equal(await a.renew(later), undefined)
})

test('notes: as many as are asked for, the last first, no old ones, no foreign ones', async (t) => {
  const { server, a } = await stand(t)
  const folder = `ha/${PREFIX}/notes/`
  const put = (name: string, text: string, ageMs: number) =>
    server.objects.set(folder + name, {
      ...{ body: Buffer.from(text), etag: `"${name}"`, writer: '' },
      writtenMs: Date.now() - ageMs,
    })
  for (let i = 0; i < MAX_CANDIDATE_NOTES + 5; i++) put(`node-${i}`, `note ${i}`, i * 2000)
  put('..', 'outside', 0)
  put('deeper/node', 'foreign', 0)
  put('large', 'x'.repeat(10_000), 0)
  // A clock of this node that is far off changes nothing.
  const notes = await a.notes()
  assert.equal(notes.length, MAX_CANDIDATE_NOTES)
  assert.equal(notes[0], 'note 0')
  server.objects.clear()
  put('old', 'old', 4 * LONG_MS)
  put('young', 'young', 2 * LONG_MS)
  assert.deepEqual(await a.notes(), ['young'])
  server.behaviour.skewMs = 5 * LONG_MS
  assert.deepEqual(await a.notes(), [])
})

test('a note is written once in a part of its life, and again when it changed', async (t) => {
  const { server, a } = await stand(t)
  const writes = () => server.log.filter((line) => line.startsWith('PUT')).length
  await a.keepNote()
  assert.equal(writes(), 0)
  await a.publish('1')
  await a.publish('1')
  await a.keepNote()
  assert.equal(writes(), 1)
  await a.publish('2')
  assert.equal(writes(), 2)
  await a.withdrawNote()
  await a.keepNote()
  assert.equal(writes(), 2)
  server.behaviour.fault = () => 'cut'
  await assert.rejects(a.publish('3'), isAway)
  server.behaviour.fault = () => undefined
  await a.keepNote()
  assert.deepEqual(await a.notes(), ['3'])
})
