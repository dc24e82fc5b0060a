/**
 * What a replica acknowledges, and when: at once when it is asked, and as durable only what it has
 * synced.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { type Acknowledgement, Acknowledger } from '../../../src/replica/acknowledger.ts'
import { Durability } from '../../../src/replica/copy/durability.ts'
import { until } from '../../support/until.ts'

function setUp() {
  const incarnation = 'a'.repeat(16)
  const copy = { position: { epoch: 2, incarnation, txid: 10 }, checksum: '00000000000000aa' }
  const syncs: { readonly end: (error?: Error) => void }[] = []
  const durability = new Durability({
    position: () => copy.position,
    sync: () =>
      new Promise((resolve, reject) =>
        syncs.push({ end: (error) => (error ? reject(error) : resolve()) }),
      ),
  })
  const sent: string[] = []
  const failures: string[] = []
  const level = { isLevel: true, hasCopy: true }
  const acknowledger = new Acknowledger({
    copy: () => (level.hasCopy ? { applier: copy, durability } : undefined),
    isLevel: () => level.isLevel,
    lagMs: () => 1,
    send: ({ epoch, txid, durableTxid, checksum }: Acknowledgement) =>
      sent.push(`${epoch}-${txid} durable ${durableTxid}${checksum ? '' : ' unsure'}`),
    onSyncFailed: (detail) => failures.push(detail),
  })
  const move = (txid: number, epoch = 2) => {
    copy.position = { epoch, incarnation, txid }
  }
  return { durability, acknowledger, syncs, sent, failures, level, move }
}

test('one sync runs at a time; the next covers all callers that came meanwhile', async () => {
  const { durability, syncs, move } = setUp()
  const first = durability.reach()
  move(11)
  const [second, third] = [durability.reach(), durability.reach()]
  move(12)
  assert.equal(syncs.length, 1)
  syncs[0].end()
  await first
  assert.equal(durability.txid(2), 10, 'not 12, which was written during the sync')
  await until('the next sync begins', () => syncs.length === 2)
  move(13)
  syncs[1].end()
  await Promise.all([second, third])
  assert.equal(durability.txid(2), 12)
  assert.equal(durability.txid(3), 0, 'nothing in another epoch')
  move(12)
  await durability.reach()
  assert.equal(syncs.length, 2, '10 to 12 are durable already')
  await durability.settled()
})

test('a failed sync counts for a concurrent sync and for the next role', async () => {
  const files = {}
  let end = () => {}
  const running = new Promise<void>((resolve) => {
    end = resolve
  })
  const host = { position: () => ({ epoch: 2, txid: 10 }), sync: () => running }
  const [durability, later] = [new Durability(host, files), new Durability(host, files)]
  const reached = durability.reach()
  later.onSyncFailed(new Error('EIO'))
  end()
  await assert.rejects(reached, /EIO/)
  assert.equal(durability.txid(2), 0)
  await assert.rejects(new Durability(host, files).reach(), /EIO/)
})

test('after a failed sync nothing is durable, although the next would succeed', async () => {
  const { durability, syncs, move } = setUp()
  const failing = durability.reach()
  const next = durability.reach()
  syncs[0].end(new Error('EIO'))
  await assert.rejects(failing, /EIO/)
  await assert.rejects(next, /EIO/)
  move(11)
  await assert.rejects(durability.reach(), /EIO/)
  assert.equal(syncs.length, 1)
  assert.equal(durability.txid(2), 0)
  await durability.settled()
})

test('a question is answered at once, or with the batch that brings the txid', async () => {
  const { acknowledger, sent, move } = setUp()
  acknowledger.onAsk({ txid: 10, durable: false })
  assert.deepEqual(sent.splice(0), ['2-10 durable 0'])
  acknowledger.onAsk({ txid: 12, durable: false })
  move(11)
  acknowledger.onVisible()
  assert.deepEqual(sent, [])
  move(12)
  acknowledger.onVisible()
  assert.deepEqual(sent.splice(0), ['2-12 durable 0'])
  move(13)
  acknowledger.onVisible()
  assert.deepEqual(sent, [], 'no client waits, so soon is enough')
  await until('soon', () => sent.length === 1)
  acknowledger.reset()
})

test('a txid is acknowledged as durable only after a sync that began after it', async () => {
  const { acknowledger, sent, syncs, move } = setUp()
  acknowledger.onAsk({ txid: 11, durable: true })
  assert.equal(syncs.length, 0, 'the txid is not here yet')
  move(11)
  acknowledger.onVisible()
  assert.equal(syncs.length, 1)
  acknowledger.now()
  assert.deepEqual(sent.splice(0), ['2-11 durable 0'])
  syncs[0].end()
  await until('it is acknowledged', () => sent.length === 1)
  assert.deepEqual(sent.splice(0), ['2-11 durable 11'])
  acknowledger.reset()
})

test('a sync that fails or outlives its connection acknowledges nothing', async () => {
  const { acknowledger, sent, syncs, failures, move } = setUp()
  acknowledger.onAsk({ txid: 10, durable: true })
  acknowledger.reset()
  syncs[0].end()
  for (let i = 0; i < 5; i++) await immediate()
  assert.deepEqual(sent, [])
  move(11)
  acknowledger.onAsk({ txid: 11, durable: true })
  syncs[1].end(new Error('EIO'))
  await until('it is told', () => failures.length === 1)
  assert.deepEqual(sent, [])
})

test('a copy that may not be level says so, and answers questions once it is', async () => {
  const { acknowledger, sent, syncs, level } = setUp()
  level.hasCopy = false
  acknowledger.onAsk({ txid: 9, durable: false })
  acknowledger.now()
  level.hasCopy = true
  level.isLevel = false
  acknowledger.onAsk({ txid: 10, durable: true })
  assert.deepEqual([sent.length, syncs.length], [0, 0])
  acknowledger.now()
  assert.deepEqual(sent.splice(0), ['2-10 durable 0 unsure'])
  level.isLevel = true
  acknowledger.onSynced()
  assert.deepEqual(sent.splice(0), ['2-10 durable 0', '2-10 durable 0'])
  assert.equal(syncs.length, 1)
  acknowledger.reset()
})
