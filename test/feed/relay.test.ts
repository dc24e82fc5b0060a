/** What a replica passes on to its own replicas, message by message. */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { pino } from 'pino'
import { WebSocketServer } from 'ws'
import { encode, pagesPayloadBytes } from '../../proto/codec.ts'
import type { Body } from '../../proto/messages.ts'
import { Relay, type RelayHost } from '../../src/feed/relay.ts'
import { ReplicaList } from '../../src/feed/replicaList.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { Claims } from '../../src/security/claims.ts'
import { FrameMap } from '../../src/sqlite/frameMap.ts'
import { PageSums } from '../../src/sqlite/pageSums.ts'
import { checksumHex } from '../../src/xxh64.ts'
import { HELLO, RawClient } from '../support/rawClient.ts'
import { until } from '../support/until.ts'

const PAGE_BYTES = 512
const INCARNATION = '00000000000000a1'
const ends: (() => void)[] = []
after(() => {
  for (const end of ends) end()
})

/** A relay before a copy that stands where it is told to. */
async function startRelay() {
  const at = { txid: 5, isOpen: false, isFit: true }
  const reports: Parameters<RelayHost['report']>[0][] = []
  const unused = { path: '', fd: -1, dev: 0n, ino: 0n }
  const files = {
    path: '',
    walPath: '',
    pageSize: PAGE_BYTES,
    database: unused,
    shm: unused,
    walFd: -1,
  }
  const host: RelayHost = {
    cluster: () => 'c',
    fileMode: () => 0o600,
    feedable: () =>
      at.isFit
        ? {
            epoch: 1,
            incarnation: INCARNATION,
            txid: at.txid,
            checksum: checksumHex(BigInt(at.txid)),
            pages: 4,
            isOpen: at.isOpen,
            pageSize: PAGE_BYTES,
            source: { files, sums: new PageSums(PAGE_BYTES, 4), frames: new FrameMap() },
          }
        : undefined,
    source: () => ({ node: 'top', address: '10.0.0.1:1' }),
    lineage: () => [],
    term: () => 0,
    members: () => [],
    onHigherEpoch() {},
    leaderMs: () => 1000,
    leaderAt: () => ({ txid: at.txid + 7, staleMs: 3 }),
    walBytes: () => 0,
    ping() {},
    reportSeen: () => true,
    report: (below) => void reports.push(below),
    onSent() {},
    onBadMessage() {},
  }
  const limits = { maxBufferedBytes: 1e6, stallMs: 30_000, helloTimeoutMs: 10_000 }
  const relay = new Relay(
    {
      db: 'main',
      version: 'test',
      node: 'between',
      instance: '00000000000000b1',
      session: limits,
      historyBytes: 1e6,
      maxReplicas: 4,
      replicas: new ReplicaList(systemClock, 'relay'),
      heartbeatMs: 60_000,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      claims: new Claims(() => ({ epoch: 1, txid: at.txid })),
    },
    host,
  )
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: () => 'walcast.1',
  })
  server.on('connection', (socket) => relay.accept(socket, '127.0.0.1'))
  await new Promise((resolve) => server.once('listening', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  ends.push(() => {
    relay.stop()
    for (const client of server.clients) client.terminate()
    server.close()
  })
  /** A batch, or a chunk of one, arrives here from the leader. */
  const arrive = (fromTxid: number, txid: number, chunk = 0, last = true) => {
    const body: Body<'batch'> = {
      db: 'main',
      epoch: 1,
      fromTxid,
      txid,
      chunk,
      last,
      pageSize: PAGE_BYTES,
      pages: 1,
      dbPages: last ? 4 : 0,
      checksum: last ? checksumHex(BigInt(txid)) : '',
      noticeMs: 1,
      noticedMs: 1,
      sentMs: 1,
    }
    const message = encode('batch', body, pagesPayloadBytes(1, PAGE_BYTES), (payload) =>
      payload.fill(chunk + 1).writeUInt32LE(1, 0),
    )
    if (last) at.txid = txid
    at.isOpen = !last
    relay.onBatch(
      body,
      message.subarray(message.length - pagesPayloadBytes(1, PAGE_BYTES)),
      message,
    )
  }
  const follow = async (txid: number, given: Partial<Body<'hello'>> = {}): Promise<RawClient> => {
    const client = await RawClient.open({ address })
    const checksum = checksumHex(BigInt(txid))
    client.hello({
      cluster: 'c',
      epoch: 1,
      txid,
      history: `${INCARNATION}@${txid}`,
      checksum,
      pageSize: PAGE_BYTES,
      pages: 4,
      ...given,
    })
    await until('an answer', () => client.messages.length > 0)
    return client
  }
  return { relay, at, reports, arrive, follow }
}

const chunksOf = (client: RawClient) =>
  client.messages.flatMap((each) =>
    each.type === 'batch' ? [`${each.body.fromTxid}-${each.body.txid}.${each.body.chunk}`] : [],
  )

test('batches are passed on as they came, to those who stand where one begins', async () => {
  const { arrive, follow } = await startRelay()
  const first = await follow(5)
  arrive(5, 6)
  arrive(6, 9)
  await until('both came', () => chunksOf(first).length === 2)
  assert.deepEqual(chunksOf(first), ['5-6.0', '6-9.0'])
  const welcome = first.messages[0]
  assert.ok(welcome.type === 'welcome' && welcome.body.mode === 'resume')
  assert.equal(welcome.body.contains, 'proven')
  assert.deepEqual(
    [welcome.body.node, welcome.body.source, welcome.body.sourceAddress],
    ['between', 'top', '10.0.0.1:1'],
  )
  const late = await follow(6)
  await until('what it lacks', () => chunksOf(late).length === 1)
  const stranger = await follow(8)
  assert.ok(stranger.messages[0].type === 'welcome' && stranger.messages[0].body.mode === 'sync')
})

test('a batch that broke off here and begins anew is not passed on as a continuation', async () => {
  const { relay, at, arrive, follow } = await startRelay()
  const client = await follow(5)
  arrive(5, 6, 0, false)
  arrive(5, 6, 1, false)
  await until('two pieces', () => chunksOf(client).length === 2)
  relay.onDisconnected()
  at.isOpen = false
  await client.closed
  assert.equal(client.messages.at(-1)?.type, 'error')
  const again = await follow(5)
  arrive(5, 6, 0, false)
  arrive(5, 6, 1)
  arrive(6, 7)
  await until('all of it', () => chunksOf(again).includes('6-7.0'))
  assert.deepEqual(chunksOf(again), ['5-6.0', '5-6.1', '6-7.0'])
})

test('one that is ahead is told to wait; an unfit copy feeds none', async () => {
  const { relay, at, follow } = await startRelay()
  const ahead = await follow(9)
  assert.ok(ahead.messages[0].type === 'error' && ahead.messages[0].body.code === 'SOURCE_BEHIND')
  const level = await follow(5)
  at.isFit = false
  relay.onUnsettled()
  await level.closed
  const last = level.messages.at(-1)
  assert.ok(last?.type === 'error' && last.body.code === 'STARTING')
  assert.equal(relay.refuse()?.key, 'STARTING')
})

const FIRST = '00000000000000c1'
const LATER = '00000000000000c2'

test('only a process with the id of one that came first is closed and refused', async () => {
  const { relay, follow } = await startRelay()
  const later = await follow(5, { instance: LATER })
  const twin = { db: 'main', node: HELLO.node, address: '10.0.0.9:1' }
  relay.onTwin({ ...twin, instance: FIRST })
  relay.onTwin({ ...twin, instance: LATER })
  const again = await follow(5, { instance: LATER })
  for (const client of [later, again]) {
    await client.closed
    const last = client.messages.at(-1)
    assert.ok(last?.type === 'error' && last.body.code === 'NODE_ID_TAKEN')
    assert.match(last.body.message, /10\.0\.0\.9:1/)
  }
  const next = await follow(5, { instance: '00000000000000c3' })
  assert.equal(next.messages[0].type, 'welcome')
})

test('that a process below is to end is passed on to the replica that told of it', async () => {
  const { relay, follow } = await startRelay()
  const [next, other] = [await follow(5, { node: 'next' }), await follow(5, { node: 'other' })]
  const below: Body<'below'> = {
    db: 'main',
    node: 'leaf',
    instance: LATER,
    upMs: 1,
    via: 'next',
    address: '',
    epoch: 1,
    txid: 5,
    lagMs: 0,
    connected: true,
    silentMs: 0,
  }
  next.send(encode('below', below))
  await until('it is listed', () => relay.replicas.some(({ node }) => node === 'leaf'))
  const twin = { db: 'main', node: 'leaf', instance: LATER, address: '10.0.0.9:1' }
  relay.onTwin(twin)
  await until('it is passed on', () => next.messages.some(({ type }) => type === 'twin'))
  assert.deepEqual({ ...next.messages.find(({ type }) => type === 'twin')?.body }, twin)
  assert.ok(!other.messages.some(({ type }) => type === 'twin'))
})

test('the leader hears which process a replica is, and for how long that has been up', async () => {
  const { reports, follow } = await startRelay()
  await follow(5, { instance: FIRST, upMs: 70_000 })
  const [told] = await until('a report', () => (reports.length > 0 ? reports : undefined))
  assert.equal(told.instance, FIRST)
  assert.ok(told.upMs >= 70_000 && told.upMs < 140_000, `${told.upMs} ms`)
})
