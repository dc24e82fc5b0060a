/**
 * Faults of the network and garbage of strangers in the stream: none of it is applied, all of it is
 * counted.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { encode, pagesPayloadBytes } from '../../proto/codec.ts'
import { MAX_MESSAGE_BYTES } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import { altered, MessageProxy } from '../support/messageProxy.ts'
import { HELLO, RawClient } from '../support/rawClient.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { randomOf, until, within } from '../support/until.ts'
import { makeDatabase, numbers, Reader, Writer } from '../support/workload.ts'

const QUICK = ['--reconnect-max', '100ms']
const REFUSED = 'walcast_refused_messages_total'

async function startBehind(
  lab: Lab,
  proxyOf: (leader: TestNode) => Promise<{ address: string; close(): Promise<void> }>,
) {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 400 })
  const leader = await lab.leader(db)
  const proxy = await proxyOf(leader)
  lab.atEnd(() => proxy.close())
  const replica = await (
    await lab.replica(lab.path('replica.db'), proxy.address, { flags: QUICK })
  ).ready()
  return { db, leader, replica }
}

async function startTcp(lab: Lab) {
  let proxy: TcpProxy | undefined
  const nodes = await startBehind(lab, async (leader) => {
    proxy = await TcpProxy.start(leader.options.port)
    return proxy
  })
  assert.ok(proxy)
  return { ...nodes, proxy }
}

async function startMiddle(lab: Lab) {
  let proxy: MessageProxy | undefined
  const nodes = await startBehind(lab, async (leader) => {
    proxy = await MessageProxy.start(leader.address)
    return proxy
  })
  assert.ok(proxy)
  return { ...nodes, proxy }
}

labTest('one flipped bit on the wire is refused, counted and never visible', async (lab) => {
  const { db, leader, replica, proxy } = await startTcp(lab)
  const reader = new Reader(lab, { path: replica.db })
  const writing = lab.sql(db)
  for (let round = 0; round < 3; round++) {
    let flipped = false
    proxy.tamper = (bytes, toReplica) => {
      if (!toReplica || flipped || bytes.length < 4000) return bytes
      flipped = true
      const changed = Buffer.from(bytes)
      changed[bytes.length - 500 * (round + 1)] ^= 1 << round
      return changed
    }
    await writing.rows('UPDATE mixed SET body = randomblob(2000) WHERE id < 50')
    await until('a bit was flipped', () => flipped)
    await until(
      'it was counted',
      async () => (await replica.metric(REFUSED, 'MESSAGE_CHECKSUM')) === round + 1,
    )
    await requireSame(lab, leader, replica)
  }
  assert.equal(await replica.metric('walcast_syncs_total'), 1, 'history was enough to go on')
  await reader.stop()
})

labTest('connections cut at random bytes under load lose nothing', async (lab) => {
  const { db, leader, replica, proxy } = await startTcp(lab)
  const reader = new Reader(lab, { path: replica.db })
  const writer = new Writer(lab, 'node', { path: db, name: 'w', seed: 51 })
  const random = randomOf(7)
  for (let round = 0; round < 8; round++) {
    let left = Math.floor(random() * 60_000)
    proxy.tamper = (bytes, toReplica) => {
      if (!toReplica) return bytes
      left -= bytes.length
      return left > 0 ? bytes : undefined
    }
    const from = proxy.connections
    await until('the connection was cut', () => proxy.connections > from)
  }
  proxy.tamper = (bytes) => bytes
  await writer.stop()
  await requireSame(lab, leader, replica)
  await reader.stop()
})

labTest('a truncated message in a running stream is refused', async (lab) => {
  const { db, leader, replica, proxy } = await startTcp(lab)
  let cut = false
  proxy.tamper = (bytes, toReplica) => {
    if (!toReplica || cut || bytes.length < 4000) return bytes
    cut = true
    return bytes.subarray(0, bytes.length - 1000)
  }
  const writing = lab.sql(db)
  for (let i = 0; i < 20; i++)
    await writing.rows('UPDATE mixed SET body = randomblob(2000) WHERE id < 50')
  assert.ok(cut)
  await requireSame(lab, leader, replica)
})

labTest('a first copy and a stream survive a slow, jumpy network', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db, { rows: 2000 })
  const leader = await lab.leader(db)
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  let passed = 0
  proxy.tamper = (bytes, toReplica) => {
    passed += bytes.length
    if (toReplica && passed > 1_500_000) {
      passed = 0
      return undefined
    }
    return bytes
  }
  proxy.delayMs = 5
  const writer = new Writer(lab, 'python', { path: db, name: 'w', seed: 52, pauseMs: 5 })
  const replica = await lab.replica(lab.path('replica.db'), proxy.address, { flags: QUICK })
  await replica.ready()
  await writer.advance(50)
  await writer.stop()
  await requireSame(lab, leader, replica)
  assert.ok(proxy.connections > 1, 'it was cut at least once')
})

for (const what of ['state checksum', 'page image', 'size'] as const) {
  labTest(
    `a wrong ${what} in a message with a valid checksum never becomes visible`,
    async (lab) => {
      const { db, leader, replica, proxy } = await startMiddle(lab)
      const reader = new Reader(lab, { path: replica.db })
      const writing = lab.sql(db)
      for (let count = 1; count <= 2; count++) {
        let isChanged = false
        proxy.change = (message, bytes) => {
          if (message.type !== 'batch' || isChanged) return bytes
          isChanged = true
          return altered('batch', ...wrong(message.body, message.payload, what))
        }
        await writing.rows('UPDATE mixed SET body = randomblob(1000) WHERE id < 20')
        await until(
          'it was counted',
          async () => (await replica.metric(REFUSED, 'STATE_MISMATCH')) === count,
        )
        await requireSame(lab, leader, replica)
        assert.equal(await replica.metric('walcast_syncs_total'), 1 + count, 'and resynced')
      }
      await reader.stop()
    },
  )
}

function wrong(
  body: Body<'batch'>,
  payload: Buffer,
  what: 'state checksum' | 'page image' | 'size',
): [Body<'batch'>, Buffer] {
  if (what === 'size') return [{ ...body, dbPages: body.dbPages + 1 }, payload]
  if (what === 'page image') {
    const copy = Buffer.from(payload)
    copy[copy.length - 7] ^= 64
    return [body, copy]
  }
  const digit = body.checksum.endsWith('0') ? '1' : '0'
  return [{ ...body, checksum: body.checksum.slice(0, 15) + digit }, payload]
}

labTest('doubled, missing and foreign batches are refused', async (lab) => {
  const { db, leader, replica, proxy } = await startMiddle(lab)
  const writing = lab.sql(db)
  const ways: ((body: Body<'batch'>) => Body<'batch'>)[] = [
    (body) => ({ ...body, fromTxid: body.fromTxid - 1 }),
    (body) => ({ ...body, epoch: body.epoch + 1 }),
    (body) => ({ ...body, txid: body.fromTxid }),
    (body) => ({ ...body, chunk: 3 }),
    (body) => ({ ...body, db: 'other' }),
  ]
  for (const way of ways) {
    let done = false
    proxy.change = (message, bytes) => {
      if (message.type !== 'batch' || done) return bytes
      done = true
      return altered('batch', way(message.body), message.payload)
    }
    await writing.rows("INSERT INTO log (who) VALUES ('x')")
    await until('it was changed', () => done)
    await requireSame(lab, leader, replica)
  }
})

labTest('strangers that send garbage are cut off and counted', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { flags: ['--name', 'the-leader'] })
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  const random = randomOf(99)
  const sent: [string, (client: RawClient) => void][] = [
    [
      'garbage',
      (client) =>
        client.send(Buffer.from(Array.from({ length: 300 }, () => Math.floor(random() * 256)))),
    ],
    ['nothing', (client) => client.send(Buffer.alloc(0))],
    ['a header only', (client) => client.send(encode('hello', HELLO).subarray(0, 24))],
    ['a text message', (client) => client.send('hello')],
    ['a message cut short', (client) => client.send(encode('hello', HELLO).subarray(0, 60))],
    ['a flipped bit', (client) => client.send(flipped(encode('hello', HELLO), 40))],
    ['another database', (client) => client.hello({ db: 'other' })],
    ['another cluster', (client) => client.hello({ cluster: 'cluster-of-others' })],
    ['another page size', (client) => client.hello({ pageSize: 512, pages: 3 })],
    ['the name of the leader', (client) => client.hello({ node: 'the-leader' })],
    ['a second hello', twice((client) => client.hello())],
    [
      'groups again and again',
      (client) => {
        client.hello()
        const body = { db: 'main', pages: 1, firstGroup: 0, sums: 1, last: false }
        for (let i = 0; i < 3; i++) client.send(encode('groups', body, 8, (to) => to.fill(0)))
      },
    ],
    ['one below that was silent for ever', below({ silentMs: 1e300 })],
    ['one below without a name', below({ node: '' })],
    ['one below in a process whose name steers a terminal', below({ instance: '\u001b[2J' })],
    ['a name that steers a terminal', (client) => client.hello({ node: '\u001b[31mred' })],
    [
      'have without being asked',
      (client) => client.send(encode('have', { db: 'main', firstPage: 1, sums: 0, last: true })),
    ],
    ['what only a leader sends', (client) => client.send(encode('synced', SYNCED, 0))],
    ['page 0', (client) => client.send(pageZero())],
    ['a message over the limit', (client) => client.send(Buffer.alloc(MAX_MESSAGE_BYTES + 1))],
  ]
  let counted = 0
  for (const [what, send] of sent) {
    const client = await RawClient.open(leader)
    send(client)
    await within(`cut off after ${what}`, client.closed)
    const now = await until(`${what} is counted`, async () => {
      const value = await leader.metric(REFUSED)
      return value > counted ? value : undefined
    })
    counted = now
  }
  await lab.exec(db, "INSERT INTO log (who) VALUES ('x')")
  await requireSame(lab, leader, replica)
})

function below(change: Partial<Body<'below'>>): (client: RawClient) => void {
  const told: Body<'below'> = {
    db: 'main',
    node: 'leaf',
    instance: '00000000cafe0001',
    upMs: 1,
    via: HELLO.node,
    address: '',
    epoch: 1,
    txid: 1,
    lagMs: 0,
    connected: true,
    silentMs: 0,
  }
  return (client) => {
    client.hello()
    client.send(encode('below', { ...told, ...change }))
  }
}

function twice(send: (client: RawClient) => void): (client: RawClient) => void {
  return (client) => {
    send(client)
    send(client)
  }
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] ^= 8
  return copy
}

const SYNCED: Body<'synced'> = {
  db: 'main',
  epoch: 1,
  incarnation: '0123456789abcdef',
  txid: 9,
  checksum: '0000000000000000',
  pageSize: 4096,
  pages: 0,
  dbPages: 0,
}

function pageZero(): Buffer {
  const body = { db: 'main', epoch: 1, pageSize: 512, pages: 1, pass: 0, remaining: 0, dbPages: 1 }
  return encode('pages', body, pagesPayloadBytes(1, 512), (payload) => payload.fill(0))
}

labTest(
  'a leader that sends too much or bad frames is refused, counted and retried',
  async (lab) => {
    const { db, leader, replica, proxy } = await startTcp(lab)
    const frames: readonly (readonly [string, Buffer])[] = [
      ['MESSAGE_TOO_LARGE', Buffer.from('827f0000000010000000', 'hex')],
      ['MESSAGE_BAD', Buffer.from('8f00', 'hex')],
      ['MESSAGE_BAD', Buffer.from('f200', 'hex')],
      ['MESSAGE_BAD', Buffer.from('810568656c6c6f', 'hex')],
    ]
    const counts = new Map<string, number>()
    for (const [key, frame] of frames) {
      let sent = false
      proxy.tamper = (bytes, toReplica) => {
        if (!toReplica || sent || bytes.toString('latin1', 0, 4) === 'HTTP') return bytes
        sent = true
        return frame
      }
      const expected = (counts.get(key) ?? 0) + 1
      counts.set(key, expected)
      await lab.exec(db, "INSERT INTO log (who) VALUES ('x')")
      await until(
        `${frame.toString('hex')} is counted`,
        async () => (await replica.metric(REFUSED, key)) === expected,
      )
    }
    await requireSame(lab, leader, replica)
  },
)

labTest('raw bytes, half-open requests and unmasked frames do no harm', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const replica = await (await lab.replica(lab.path('replica.db'), leader)).ready()
  const upgrade = [
    'GET /_walcast/stream HTTP/1.1',
    `Host: ${leader.address}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: walcast.1',
    '\r\n',
  ].join('\r\n')
  const texts = [
    'GET',
    'GET / HTTP/1.1\r\n',
    '\0\0\0\0\r\n\r\n',
    `${upgrade}\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff`,
    `${upgrade}\x82\x05hello`,
    upgrade.replace('/_walcast/stream', '/elsewhere'),
    upgrade.replace('walcast.1', 'walcast.999'),
  ]
  const sockets = texts.map((text) => {
    const socket = connect(leader.options.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(text, 'latin1')
    return socket
  })
  await lab.exec(db, numbers(200, "INSERT INTO log (who) SELECT 'x' FROM numbers"))
  await requireSame(lab, leader, replica)
  for (const socket of sockets) socket.destroy()
  assert.equal((await leader.get('/livez')).status, 200)
})
