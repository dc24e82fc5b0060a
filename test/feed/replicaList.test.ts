/**
 * The replicas that a node has met: which are listed as what, remembered, forgotten, and kept in a
 * file.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Logger } from 'pino'
import type { Body } from '../../proto/messages.ts'
import { PeersFile, parsePeers, readPeers } from '../../src/cluster/peersFile.ts'
import { MAX_REMEMBERED, ReplicaList } from '../../src/feed/replicaList.ts'
import type { ReplicaSession } from '../../src/feed/replicaSession.ts'
import type { Peer } from '../../src/feed/replicaStatus.ts'
import { createFileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { until } from '../support/until.ts'

const START_MS = Date.parse('2026-01-01T00:00:00Z')

function setUp(peers: readonly Peer[] = []) {
  const clock = { ms: START_MS, nowMs: () => clock.ms }
  const list = new ReplicaList(clock, 'own', peers)
  const session = (node: string, txid = 5) =>
    ({
      node,
      advertise: `${node}:1`,
      remoteAddress: '',
      epoch: 1,
      txid,
      lagMs: 2,
      lastSeenMs: clock.ms,
      state: 'streaming',
      bufferedBytes: 0,
      takenBytes: 0,
      terminate() {},
    }) as unknown as ReplicaSession
  const told = (
    node: string,
    connected: boolean,
    given: Partial<Body<'below'>> = {},
  ): Body<'below'> => ({
    db: 'main',
    node,
    instance: `of ${node}`,
    upMs: 0,
    via: 'relay',
    address: `${node}:1`,
    epoch: 1,
    txid: 9,
    lagMs: 3,
    connected,
    silentMs: 0,
    ...given,
  })
  const shown = () =>
    list.list().map(({ node, connected, via }) => `${node} ${connected}${via ? ` ${via}` : ''}`)
  return { clock, list, session, told, shown }
}

const peer = (node: string, atMs = START_MS - 60_000): Peer => ({
  node,
  address: `${node}:1`,
  epoch: 1,
  txid: 4,
  lagMs: 7,
  lastSeen: new Date(atMs).toISOString(),
})

test('one that goes away stays listed with its last position, and its lag grows', () => {
  const { clock, list, session } = setUp()
  const b = session('b')
  list.connected(b)
  assert.equal(list.list()[0].connected, true)
  list.disconnected(b)
  clock.ms += 5000
  assert.deepEqual(list.list(), [
    {
      node: 'b',
      address: 'b:1',
      epoch: 1,
      txid: 5,
      lagMs: 5002,
      connected: false,
      lastSeen: '2026-01-01T00:00:00.000Z',
      state: 'away',
    },
  ])
})

test('one remembered from an earlier run is away, its lag grows on, and it comes back', () => {
  const { clock, list, session, shown } = setUp([peer('b')])
  assert.deepEqual([list.list()[0].lagMs, list.list()[0].state], [60_007, 'away'])
  clock.ms += 1000
  assert.equal(list.list()[0].lagMs, 61_007)
  assert.deepEqual(list.peers(), [peer('b')], 'what is remembered does not change by waiting')
  list.connected(session('b'))
  assert.deepEqual(shown(), ['b true'])
})

test('the last heard of are remembered, and no more than that', () => {
  const many = Array.from({ length: MAX_REMEMBERED + 10 }, (_, i) =>
    peer(`n${i}`, START_MS - i * 1000),
  )
  const { list, session } = setUp(many)
  const nodes = () => list.peers().map(({ node }) => node)
  assert.equal(nodes().length, MAX_REMEMBERED)
  assert.ok(nodes().includes('n0') && !nodes().includes(`n${MAX_REMEMBERED}`))
  const b = session('b')
  list.connected(b)
  list.disconnected(b)
  assert.equal(list.list().length, MAX_REMEMBERED)
  assert.ok(nodes().includes('b') && !nodes().includes(`n${MAX_REMEMBERED - 1}`))
})

test('only one that is away and known is forgotten', () => {
  const { list, session, shown } = setUp([peer('c')])
  let changes = 0
  list.on('changed', () => void changes++)
  const b = session('b')
  list.connected(b)
  assert.throws(() => list.forget('b'), { key: 'REPLICA_CONNECTED' })
  assert.throws(() => list.forget('x'), { key: 'REPLICA_UNKNOWN' })
  assert.equal(changes, 1)
  list.forget('c')
  list.disconnected(b)
  assert.deepEqual(shown(), ['b false'])
  list.forget('b')
  assert.deepEqual([shown(), changes], [[], 4])
  list.connected(session('b'))
  assert.deepEqual(shown(), ['b true'])
})

test('removed nodes leave the list, each as soon as its connection has ended', () => {
  const { list, session, told, shown } = setUp([peer('c'), peer('d')])
  const removed = new Set<string>()
  const forget = () => list.forgetRemoved((node) => removed.has(node))
  list.on('changed', forget)
  const [a, relay] = [session('a'), session('relay')]
  for (const each of [a, relay]) list.connected(each)
  list.below(relay, told('e', true))
  for (const node of ['a', 'c', 'd', 'e']) removed.add(node)
  forget()
  assert.deepEqual(shown(), ['a true', 'relay true', 'e true relay'])
  list.disconnected(a)
  assert.deepEqual(shown(), ['relay true', 'e true relay'])
  list.below(relay, told('e', false))
  assert.deepEqual(shown(), ['relay true'])
})

test('one that is fed by another: told of, away, forgotten for good, back', () => {
  const { clock, list, session, told, shown } = setUp()
  const relay = session('relay')
  list.connected(relay)
  list.below(relay, told('c', true))
  assert.deepEqual(shown(), ['relay true', 'c true relay'])
  assert.throws(() => list.forget('c'), { key: 'REPLICA_CONNECTED' })
  list.below(relay, told('c', false, { silentMs: 1000, lagMs: 1003 }))
  assert.deepEqual(shown(), ['relay true', 'c false relay'])
  list.forget('c')
  list.below(relay, told('c', false, { silentMs: 2000 }))
  assert.deepEqual(shown(), ['relay true'], 'that it is still away is no news')
  clock.ms += 1000
  list.below(relay, told('c', true))
  assert.deepEqual(shown(), ['relay true', 'c true relay'])
})

test('one that moves from here to another replica is listed once, where it is', () => {
  const { clock, list, session, told, shown } = setUp()
  const [c, relay, other] = [session('c'), session('relay'), session('other')]
  for (const each of [c, relay, other]) list.connected(each)
  list.below(relay, told('c', false, { silentMs: 60_000 }))
  list.disconnected(c)
  clock.ms += 1000
  list.below(relay, told('c', false, { silentMs: 61_000 }))
  assert.deepEqual(shown(), ['relay true', 'other true', 'c false'], 'it was seen here since')
  list.below(other, told('c', true, { via: 'other' }))
  list.below(relay, told('c', false, { silentMs: 61_000 }))
  assert.deepEqual(shown(), ['relay true', 'other true', 'c true other'])
})

test('this node is never on its own list, nor is the leader that it follows', () => {
  const { list, session, told, shown } = setUp([peer('own'), peer('old'), peer('c')])
  assert.deepEqual(shown(), ['old false', 'c false'])
  const relay = session('relay')
  list.connected(relay)
  list.below(relay, told('own', true))
  list.below(relay, told('old', true))
  list.follows('old')
  list.below(relay, told('old', false))
  assert.deepEqual(shown(), ['relay true', 'c false'])
  assert.deepEqual([...list.direct()], ['relay', 'c'])
  // The old leader follows this one by now.
  list.expect([{ node: 'own', address: '' }])
  list.connected(session('old'))
  assert.deepEqual(shown(), ['relay true', 'old true', 'c false'])
})

test('one that was fed here and leads by now is not missed', () => {
  const { list, session, shown } = setUp()
  const b = session('b')
  list.connected(b)
  list.follows('b')
  list.disconnected(b)
  assert.deepEqual(shown(), [])
})

test('an expected replica is listed where it last stood, or without position', async (t) => {
  const { clock, list } = setUp()
  const position = { epoch: 3, txid: 17 }
  list.expect([
    { node: 'old', address: 'old:1', position, seenMs: clock.ms - 5000 },
    { node: 'c', address: 'c:1' },
  ])
  const told = list.list().map(({ node, epoch, txid, lagMs }) => [node, epoch, txid, lagMs])
  assert.deepEqual(told, [
    ['old', 3, 17, 5000],
    ['c', null, null, 0],
  ])
  const folder = newFolder(t)
  const { log, lines } = newLog()
  const file = new PeersFile(folder, systemFileOps, log, list)
  await file.save()
  await file.stop()
  assert.deepEqual(readPeers(folder, log), list.peers())
  assert.deepEqual(lines, [])
})

test('a connected replica holds its id against later processes while it is heard of', () => {
  const { clock, list, session } = setUp()
  const holds = (node: string, instance: string, upMs = 0) =>
    list.holderOf({ node, instance, upMs }, 3000)
  assert.equal(holds('b', 'two'), undefined, 'no replica has it')
  const first = Object.assign(session('b'), { instance: 'one', upSinceMs: clock.ms - 5000 })
  list.connected(first)
  assert.equal(holds('b', 'two'), 'b:1')
  assert.equal(holds('b', 'one'), undefined, 'it is the same process, on another connection')
  assert.equal(holds('c', 'two'), undefined, 'of another node')
  assert.equal(holds('b', 'two', 4999), 'b:1', 'which came later')
  assert.equal(
    holds('b', 'two', 5001),
    undefined,
    'that one came first, and its connection was lost',
  )
  clock.ms += 3000
  assert.equal(holds('b', 'two'), 'b:1')
  clock.ms += 1
  assert.equal(holds('b', 'two'), undefined, 'it has fallen silent')
  Object.assign(first, { lastSeenMs: clock.ms, advertise: '', remoteAddress: '10.0.0.9' })
  assert.equal(holds('b', 'two'), '10.0.0.9')
  Object.assign(first, { state: 'closed' })
  assert.equal(holds('b', 'two'), undefined, 'its connection is closed')
  Object.assign(first, { state: 'streaming' })
  list.disconnected(first)
  assert.equal(holds('b', 'two'), undefined, 'it went away')
})

test('the process of a replica is known wherever it is fed, while it is connected', () => {
  const { clock, list, session, told } = setUp()
  const none = { instance: '', upMs: 0 }
  assert.deepEqual(list.processOf('b'), none)
  const b = Object.assign(session('b'), { instance: 'one', upSinceMs: clock.ms - 5000 })
  list.connected(b)
  clock.ms += 500
  assert.deepEqual(list.processOf('b'), { instance: 'one', upMs: 5500 })
  list.disconnected(b)
  assert.deepEqual(list.processOf('b'), none)
  const relay = session('relay')
  list.connected(relay)
  list.below(relay, told('b', true, { instance: 'two', upMs: 70 }))
  clock.ms += 30
  assert.deepEqual(list.processOf('b'), { instance: 'two', upMs: 100 })
})

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-peers-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function newLog() {
  const lines: string[] = []
  const log = { warn: (_: object, text: string) => void lines.push(text) } as unknown as Logger
  return { log, lines }
}

test('the file holds what is listed, soon after a change, and is read again', async (t) => {
  const folder = newFolder(t)
  const { log, lines } = newLog()
  assert.deepEqual(readPeers(folder, log), [])
  const { list, session } = setUp([{ ...peer('c'), via: 'relay' }])
  const file = new PeersFile(folder, systemFileOps, log, list)
  list.connected(session('b'))
  await until('it is written', () => readPeers(folder, log).length === 2)
  assert.deepEqual(readPeers(folder, log), list.peers())
  list.forget('c')
  await file.save()
  assert.deepEqual(readPeers(folder, log), list.peers())
  list.disconnected(session('x'))
  await file.stop()
  assert.deepEqual(lines, [])
})

for (const [what, text] of [
  ['cut', '{"format": 1, "peers": {'],
  ['of another format', '{"format": 2, "peers": {}}'],
  ['no object', 'null'],
  ['with a field of the wrong kind', '{"format":1,"peers":{"b":{"address":"b:1","epoch":"1"}}}'],
  [
    'with a bad time',
    JSON.stringify({ format: 1, peers: { b: { ...peer('b'), lastSeen: 'then' } } }),
  ],
  ['too large', ' '.repeat(5 * 1024 * 1024)],
])
  test(`a file that is ${what} is one line in the log, and no peers`, (t) => {
    const folder = newFolder(t)
    const { log, lines } = newLog()
    writeFileSync(join(folder, 'peers.json'), text)
    assert.deepEqual(readPeers(folder, log), [])
    assert.equal(lines.length, 1)
  })

test('one damaged entry does not cost the others', () => {
  const peers = { b: peer('b'), c: { ...peer('c'), lagMs: -1 }, d: peer('d') }
  const read = parsePeers(JSON.stringify({ format: 1, peers }))
  assert.deepEqual([read.peers.map(({ node }) => node), read.damaged], [['b', 'd'], 1])
})

test('when as many are listed as can be, one that is away makes room', () => {
  const { list, session } = setUp()
  const relay = session('relay')
  list.connected(relay)
  const told = {
    db: 'main',
    instance: 'i',
    upMs: 0,
    via: 'relay',
    address: '',
    epoch: 1,
    txid: 1,
    lagMs: 0,
    silentMs: 0,
  }
  for (let i = 0; i < 4096; i++) list.below(relay, { ...told, node: `n${i}`, connected: true })
  list.below(relay, { ...told, node: 'late', connected: true })
  assert.ok(!list.list().some(({ node }) => node === 'late'), 'all others are there')
  list.below(relay, { ...told, node: 'n7', connected: false })
  list.below(relay, { ...told, node: 'late', connected: true })
  const nodes = new Set(list.list().map(({ node }) => node))
  assert.ok(nodes.has('late') && !nodes.has('n7'))
})

test('a file with more entries than are remembered is cut', () => {
  const peers = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`n${i}`, peer(`n${i}`)]))
  assert.equal(parsePeers(JSON.stringify({ format: 1, peers })).peers.length, MAX_REMEMBERED)
})

test('a disk that fails is told of once, and stops nothing', async (t) => {
  const folder = newFolder(t)
  const { log, lines } = newLog()
  let fails = true
  const ops = createFileOps(() => {
    if (fails) throw Object.assign(new Error('no'), { code: 'EIO' })
  })
  const { list, session } = setUp()
  const file = new PeersFile(folder, ops, log, list)
  list.connected(session('b'))
  await file.save()
  await file.save()
  assert.equal(lines.length, 1)
  fails = false
  await file.save()
  assert.match(readFileSync(join(folder, 'peers.json'), 'utf8'), /"b"/)
  await file.stop()
  assert.equal(lines.length, 1)
})
