/**
 * Who holds a commit, as the leader knows it: connections that are not there, through the interface
 * that sessions have.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import type { Body } from '../../proto/messages.ts'
import {
  Acknowledgements,
  type AckOutcome,
  type AskedReplica,
} from '../../src/feed/acknowledgements.ts'
import type { SessionState } from '../../src/feed/replicaSession.ts'
import { randomOf } from '../support/until.ts'

const EPOCH = 3
const LONG_MS = 60_000
const ONE = { replicas: 1, durable: false }
const ALL = { replicas: 'all', durable: false } as const

class Replica implements AskedReplica {
  readonly node: string
  state: SessionState = 'streaming'
  acked: Body<'ack'> | undefined
  readonly asked: string[] = []

  constructor(node: string) {
    this.node = node
  }

  send(_type: 'ask', { txid, durable }: Body<'ask'>): void {
    this.asked.push(durable ? `${txid} durable` : `${txid}`)
  }
}

function setUp({ limit = 10, away = [] as string[] } = {}) {
  const known = new Set<string>(away)
  const uncounted = new Set<string>()
  const now = { epoch: EPOCH, txid: 1000 }
  const acks = new Acknowledgements(limit, {
    db: 'main',
    epoch: () => now.epoch,
    contains: ({ epoch, txid }) => epoch === now.epoch && txid <= now.txid,
    known: () => known,
    counts: (node) => !uncounted.has(node),
  })
  const connect = (node: string) => {
    const replica = new Replica(node)
    known.add(node)
    acks.onConnected(replica)
    return replica
  }
  const ack = (replica: Replica, txid: number, given: Partial<Body<'ack'>> = {}) => {
    const checksum = '00000000000000aa'
    replica.acked = { db: 'main', epoch: EPOCH, txid, checksum, durableTxid: 0, lagMs: 0, ...given }
    acks.onAck(replica)
  }
  return { acks, now, known, connect, ack }
}

const at = (txid: number) => ({ epoch: EPOCH, txid })

/** What has become of a wait by now. */
async function stateOf(wait: Promise<AckOutcome>): Promise<string> {
  const state = await Promise.race([wait, Promise.resolve(undefined)])
  return state ? `${state.end} ${state.replicas}` : 'waits'
}

test('a wait ends when as many as wanted hold the commit, and not before', async () => {
  const { acks, connect, ack } = setUp()
  const [a, b] = [connect('a'), connect('b')]
  const one = acks.wait(at(7), ONE, LONG_MS)
  const two = acks.wait(at(7), { replicas: 2, durable: false }, LONG_MS)
  const all = acks.wait(at(7), ALL, LONG_MS)
  ack(a, 6)
  assert.equal(await stateOf(one), 'waits')
  ack(a, 7)
  assert.deepEqual(await one, { reached: true, replicas: 1, end: 'reached' })
  assert.equal(await stateOf(two), 'waits')
  assert.equal(await stateOf(all), 'waits')
  ack(b, 9)
  assert.equal(await stateOf(two), 'reached 2')
  assert.equal(await stateOf(all), 'reached 2')
  assert.equal(await stateOf(acks.wait(at(7), ALL, LONG_MS)), 'reached 2', 'known already')
  assert.equal(acks.size, 0)
})

test('the same replica counts once, and only for what it is connected', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  connect('b')
  const two = acks.wait(at(7), { replicas: 2, durable: false }, 20)
  ack(a, 7)
  const again = connect('a')
  ack(a, 8)
  ack(again, 8)
  assert.equal(await stateOf(two), 'waits')
  acks.onClosed(again)
  assert.equal(await stateOf(two), 'waits')
  assert.deepEqual(await two, { reached: false, replicas: 0, end: 'timeout' })
})

test('without any replica nothing is reached, and there is no wait for it', async () => {
  const { acks } = setUp()
  for (const replicas of ['all', 1, 2] as const)
    for (const durable of [false, true])
      assert.deepEqual(await acks.wait(at(5), { replicas, durable }, LONG_MS), {
        reached: false,
        replicas: 0,
        end: 'alone',
      })
  for (const replicas of ['all', 1] as const)
    assert.equal((await acks.wait(at(0), { replicas, durable: false }, LONG_MS)).reached, false)
})

test('more than are known: it waits for those, and then no longer', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  const three = acks.wait(at(5), { replicas: 3, durable: false }, LONG_MS)
  assert.equal(await stateOf(three), 'waits')
  ack(a, 5)
  assert.deepEqual(await three, { reached: false, replicas: 1, end: 'alone' })
})

test('all means those that are away, too, until they are forgotten', async () => {
  const { acks, connect, ack, known } = setUp({ away: ['gone'] })
  const a = connect('a')
  ack(a, 5)
  assert.deepEqual(await acks.wait(at(5), ALL, 5), { reached: false, replicas: 1, end: 'timeout' })
  known.delete('gone')
  assert.equal(await stateOf(acks.wait(at(5), ALL, LONG_MS)), 'reached 1')
})

test('durable counts what is durable there', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  ack(a, 9)
  const durable = acks.wait(at(8), { replicas: 1, durable: true }, LONG_MS)
  assert.deepEqual(a.asked, ['8 durable'])
  ack(a, 9, { durableTxid: 7 })
  assert.equal(await stateOf(durable), 'waits')
  ack(a, 9, { durableTxid: 8 })
  assert.equal(await stateOf(durable), 'reached 1')
})

test('one question at a time: the next asks for the highest that is waited for', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  const waits = [5, 6, 9, 8].map((txid) => acks.wait(at(txid), ONE, LONG_MS))
  assert.deepEqual(a.asked, ['5'])
  ack(a, 4)
  assert.deepEqual(a.asked, ['5'], 'it has not answered that yet')
  ack(a, 6)
  assert.deepEqual(a.asked, ['5', '9'])
  ack(a, 9)
  await Promise.all(waits)
  assert.deepEqual(a.asked, ['5', '9'])
  ack(a, 10)
  assert.deepEqual(a.asked, ['5', '9'], 'there is no wait')
})

test('a new connection is asked again, once it streams and says where it stands', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  const one = acks.wait(at(5), ONE, LONG_MS)
  acks.onClosed(a)
  const back = connect('a')
  back.state = 'comparing'
  ack(back, 5)
  assert.deepEqual([back.asked, await stateOf(one)], [[], 'waits'], 'it compares pages')
  back.state = 'streaming'
  ack(back, 5, { checksum: '' })
  assert.deepEqual(
    [back.asked, await stateOf(one)],
    [[], 'waits'],
    'it does not know what it holds',
  )
  ack(back, 5, { epoch: EPOCH - 1 })
  assert.equal(await stateOf(one), 'waits', 'of another epoch')
  ack(back, 4)
  assert.deepEqual(back.asked, ['5'])
  ack(back, 5)
  assert.equal(await stateOf(one), 'reached 1')
})

test('waits are bounded in number and end with the leadership', async () => {
  const { acks, now, connect } = setUp({ limit: 2 })
  connect('a')
  const waits = [acks.wait(at(5), ONE, LONG_MS), acks.wait(at(6), ONE, LONG_MS)]
  assert.equal(await stateOf(acks.wait(at(5), ONE, LONG_MS)), 'full 0')
  assert.equal(await stateOf(acks.wait(at(1001), ONE, LONG_MS)), 'ended 0', 'not of this history')
  now.epoch++
  acks.endAll()
  for (const wait of waits) assert.equal(await stateOf(wait), 'ended 0')
  assert.equal(await stateOf(acks.wait(at(5), ONE, LONG_MS)), 'ended 0')
  acks.stop()
  assert.equal(await stateOf(acks.wait({ epoch: EPOCH + 1, txid: 5 }, ONE, LONG_MS)), 'ended 0')
})

test('a confirmation is of one position and state, told after the question', async () => {
  const { acks, connect, ack } = setUp()
  const a = connect('a')
  const position = { ...at(7), checksum: '00000000000000aa' }
  ack(a, 7)
  const confirm = () => acks.confirm('a', position, LONG_MS)
  const first = confirm()
  assert.deepEqual(a.asked, ['7'])
  ack(a, 6)
  ack(a, 7)
  assert.equal(await first, true)
  for (const wrong of [
    () => ack(a, 8),
    () => ack(a, 7, { checksum: '00000000000000bb' }),
    () => acks.onClosed(a),
    () => acks.stop(),
  ]) {
    const refused = confirm()
    wrong()
    assert.equal(await refused, false)
  }
  const late = setUp()
  late.connect('a')
  assert.equal(await late.acks.confirm('a', position, 5), false)
  assert.equal(await late.acks.confirm('b', position, LONG_MS), false, 'not connected')
})

test('in any order of events: reached as soon as enough hold it, and never before', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomOf(seed)
    const pick = (count: number) => Math.floor(random() * count)
    const { acks, known, connect, ack } = setUp({
      limit: 100,
      away: random() < 0.3 ? ['gone'] : [],
    })
    const here = new Map<string, { replica: Replica; txid: number; durableTxid: number }>()
    const open = new Set<{ readonly isDue: () => boolean }>()
    const waits: Promise<void>[] = []
    const begin = (): void => {
      const [txid, durable] = [1 + pick(30), random() < 0.3]
      const replicas = random() < 0.3 ? 'all' : 1 + pick(3)
      const holders = () =>
        [...here.values()].filter((each) => (durable ? each.durableTxid : each.txid) >= txid).length
      const isDue = () => holders() >= (replicas === 'all' ? Math.max(1, known.size) : replicas)
      const entry = { isDue }
      open.add(entry)
      const ended = acks.wait(at(txid), { replicas, durable }, LONG_MS)
      waits.push(
        ended.then((outcome) => {
          open.delete(entry)
          if (outcome.end === 'ended') return
          assert.equal(outcome.reached, isDue(), `seed ${seed}: ${outcome.end}`)
          assert.equal(outcome.replicas, holders(), `seed ${seed}`)
          assert.ok(
            outcome.reached || outcome.replicas === known.size,
            `seed ${seed}: given up early`,
          )
        }),
      )
    }
    for (let step = 0; step < 60; step++) {
      const node = `r${pick(3)}`
      const entry = here.get(node)
      const what = pick(4)
      if (what === 0 && !entry)
        here.set(node, { replica: connect(node), txid: -1, durableTxid: -1 })
      else if (what === 0 && entry && random() < 0.3) {
        acks.onClosed(entry.replica)
        here.delete(node)
      } else if (what === 1 && entry) {
        entry.txid = Math.max(1, entry.txid) + pick(5)
        if (random() < 0.5) entry.durableTxid = entry.txid
        ack(entry.replica, entry.txid, { durableTxid: Math.max(0, entry.durableTxid) })
      } else begin()
      await immediate()
      for (const { isDue } of open)
        assert.ok(!isDue(), `seed ${seed}: it waits, and enough hold it`)
    }
    acks.stop()
    await Promise.all(waits)
    assert.equal(acks.size, 0)
  }
})
