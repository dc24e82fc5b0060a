/** What every lock service promises, tried on a real one. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type LeaseService, MAX_ELECTION_BYTES } from '../../src/roles/election/leaseService.ts'

export interface LeaseContract {
  /** A client of the service for this node. Each prefix is a lock of its own. */
  open(node: string, prefix: string): Promise<LeaseService> | LeaseService
}

/** Resolves when `isSo` gives true; it is asked after each change that is told of. */
async function changed(service: LeaseService, isSo: () => Promise<boolean>): Promise<void> {
  const end = new AbortController()
  try {
    await new Promise<void>((resolve, reject) => {
      const ask = () =>
        void isSo().then((is) => {
          if (is) resolve()
        }, reject)
      service.watch(ask, end.signal)
      ask()
    })
  } finally {
    end.abort()
  }
}

export async function leaseContract(t: TestContext, { open }: LeaseContract): Promise<void> {
  let locks = 0
  const pair = async (each: TestContext) => {
    const prefix = `contract/${process.pid}-${++locks}`
    const services = await Promise.all([open('node-a', prefix), open('node-b', prefix)])
    each.after(() => Promise.all(services.map((service) => service.close())))
    const [a, b] = services
    await a.probe()
    return { a, b }
  }

  await t.test('nobody holds what nobody took', async (each) => {
    const { a } = await pair(each)
    const { value, isHeld } = await a.look()
    assert.deepEqual({ value, isHeld }, { value: undefined, isHeld: false })
    assert.deepEqual(await a.notes(), [])
  })

  await t.test('one takes it; others see that, and cannot', async (each) => {
    const { a, b } = await pair(each)
    const before = await b.look()
    const lease = await a.take((await a.look()).mark, 'a leads: "1" \u00fc')
    assert.ok(lease)
    const after = await b.look()
    assert.deepEqual([after.value, after.isHeld], ['a leads: "1" \u00fc', true])
    assert.notEqual(after.mark, before.mark)
    assert.equal(await b.take(before.mark, 'b leads'), undefined)
    assert.equal(await b.take(after.mark, 'b leads'), undefined)
    assert.equal((await a.look()).value, 'a leads: "1" \u00fc')
  })

  await t.test('of two at once one takes it', async (each) => {
    const { a, b } = await pair(each)
    const { mark } = await a.look()
    const took = await Promise.all([a.take(mark, 'a'), b.take(mark, 'b')])
    assert.equal(took.filter(Boolean).length, 1)
    assert.equal((await a.look()).value, took[0] ? 'a' : 'b')
  })

  await t.test('a renewal counts from when it was sent', async (each) => {
    const { a } = await pair(each)
    const lease = await a.take((await a.look()).mark, 'a')
    assert.ok(lease)
    const renewed = await a.renew(lease)
    assert.ok(renewed && renewed.sentMs >= lease.sentMs)
    assert.equal(renewed.ttlMs, lease.ttlMs)
    assert.ok(await a.renew(renewed))
  })

  await t.test('who holds it writes the value, and nobody else', async (each) => {
    const { a, b } = await pair(each)
    const lease = await a.take((await a.look()).mark, '1')
    assert.ok(lease)
    const { mark } = await b.look()
    assert.equal(await a.amend(lease, '2'), true)
    const { value, mark: later } = await b.look()
    assert.equal(value, '2')
    assert.notEqual(later, mark)
    assert.equal(await a.release(lease), true)
    const taken = await b.take((await b.look()).mark, '3')
    assert.ok(taken)
    assert.equal(await a.amend(lease, '4'), false)
    assert.equal((await a.look()).value, '3')
  })

  await t.test('what is released is free at once, and its value stays', async (each) => {
    const { a, b } = await pair(each)
    const lease = await a.take((await a.look()).mark, 'a')
    assert.ok(lease)
    assert.equal(await a.release(lease, 'a, for b'), true)
    const { value, isHeld, mark } = await b.look()
    assert.deepEqual({ value, isHeld }, { value: 'a, for b', isHeld: false })
    assert.equal(await a.renew(lease), undefined)
    assert.equal(await a.release(lease, 'again'), false)
    assert.ok(await b.take(mark, 'b'))
    assert.equal(await a.renew(lease), undefined)
    assert.equal((await a.look()).value, 'b')
  })

  await t.test('a change between look and take is noticed', async (each) => {
    const { a, b } = await pair(each)
    const { mark } = await b.look()
    const lease = await a.take(mark, 'a')
    assert.ok(lease)
    assert.equal(await a.release(lease), true)
    assert.equal(await b.take(mark, 'b'), undefined)
    assert.ok(await b.take((await b.look()).mark, 'b'))
  })

  await t.test('it ends by itself, which is told; its value stays', async (each) => {
    const { a, b } = await pair(each)
    const lease = await a.take((await a.look()).mark, 'a')
    assert.ok(lease)
    await changed(b, async () => !(await b.look()).isHeld)
    assert.equal((await b.look()).value, 'a')
    assert.equal(await a.renew(lease), undefined)
    const taken = await b.take((await b.look()).mark, 'b')
    assert.ok(taken)
    assert.notEqual(taken.id, lease.id)
  })

  await t.test('that somebody takes it is told', async (each) => {
    const { a, b } = await pair(each)
    const seen = changed(b, async () => (await b.look()).value === 'a')
    assert.ok(await a.take((await a.look()).mark, 'a'))
    await seen
  })

  await t.test('notes are seen by all until they are withdrawn', async (each) => {
    const { a, b } = await pair(each)
    await a.publish('note of a')
    await b.publish('first note of b')
    await b.publish('note of b')
    await a.keepNote()
    assert.deepEqual([...(await a.notes())].sort(), ['note of a', 'note of b'])
    await b.withdrawNote()
    assert.deepEqual(await a.notes(), ['note of a'])
    await b.withdrawNote()
  })

  await t.test('a note and a value of the largest size are kept', async (each) => {
    const { a, b } = await pair(each)
    const large = 'x'.repeat(MAX_ELECTION_BYTES)
    await a.publish(large)
    assert.deepEqual(await b.notes(), [large])
    assert.ok(await a.take((await a.look()).mark, large))
    assert.equal((await b.look()).value, large)
  })
}
