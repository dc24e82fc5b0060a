/** Nodes talk over TLS, and nobody else on the network is believed or told anything. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { describe } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { freePort } from '../../src/cli/freePorts.ts'
import { withoutMember } from '../../src/cluster/trustChanges.ts'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { Authority, type Issued, writeIssued } from '../support/certificates.ts'
import { campaignTest, type Lab, labTest, requireSame, waitLevel } from '../support/lab.ts'
import { promote, switchover } from '../support/leadership.ts'
import { type Site, startNotes } from '../support/notesCluster.ts'
import { NotesWriter } from '../support/notesWriter.ts'
import { sharedLab } from '../support/sharedLab.ts'
import { receiverAt, signatureOf } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { ask, SECRET, startTraffic } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const ENVIRONMENT = { WALCAST_SECRET: SECRET, WALCAST_TLS: 'true' }
const CROWD = 1000
const DAY_MS = 24 * 3_600_000

/** What a rogue was sent: the first bytes of connections, or requests over TLS. */
interface Rogue {
  readonly port: number
  readonly seen: string[]
  close(): Promise<void>
}

async function listening(lab: Lab, server: Server, port: number, seen: string[]): Promise<Rogue> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  lab.atEnd(close)
  return { port: (server.address() as AddressInfo).port, seen, close }
}

/** Claims to lead in a high epoch, with a key of its own, to everybody who asks. */
function rogueLeader(lab: Lab, port: number): Promise<Rogue> {
  const { key, certificate: cert } = makeKeys()
  const seen: string[] = []
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      seen.push(bytes.toString('latin1'))
      const answer = JSON.stringify({
        role: 'leader',
        ready: true,
        node: 'node-rogue',
        cluster: 'cluster-rogue',
        epoch: 99,
        term: 99,
        txid: 99,
        address: `127.0.0.1:${port}`,
        timeMs: Date.now(),
      })
      const proof = `walcast-proof: v1 key=00000000 node=node-rogue mac=${'0'.repeat(64)}`
      socket.write(
        `HTTP/1.1 200 OK\r\n${proof}\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`,
      )
    })
  })
  server.on('tlsClientError', () => {})
  return listening(lab, server, port, seen)
}

function fieldOf(text: string, name: string): unknown {
  return Object(JSON.parse(text))[name]
}

labTest('stream, forwards, WebSockets, orders and the command line go over TLS', async (lab) => {
  const traffic = await startTraffic(lab, {
    environment: { ...ENVIRONMENT, WALCAST_HOLD: '30s', WALCAST_FORWARD: '/live' },
    asNode: true,
  })
  const { leader, replica, atReplica } = traffic
  await waitLevel(leader, replica)
  assert.equal((await ask(atReplica, { method: 'POST', path: '/w', body: 'x' })).status, 200)
  const socket = new WebSocket(`ws://127.0.0.1:${atReplica}/live`)
  lab.atEnd(() => socket.terminate())
  const [greeting] = await within('an upgrade', once(socket, 'message'))
  assert.equal(fieldOf(String(greeting), 'app'), 'leader')
  const { text } = await leader.get('/leader')
  assert.equal(fieldOf(text, 'plaintext'), false)
  assert.match(String(fieldOf(text, 'fingerprint')), /^[0-9a-f]{64}$/)

  // HOST:PORT is enough: the command line finds out that the node wants TLS.
  for (const address of [leader.address, leader.url]) {
    const status = lab.cli(['status', '--node', address, '--json'], { WALCAST_SECRET: SECRET })
    const { text: shown } = await status.line((line) => line.includes('"role"'))
    assert.match(shown, /"leader"/)
    assert.equal((await status.ended).code, 0)
  }

  await switchover(leader)
  await until('it follows', async () => (await leader.status()).role !== 'leader')
  await requireSame(lab, replica, leader)
  assert.equal((await ask(traffic.atLeader, { method: 'POST', path: '/w', body: 'x' })).status, 200)

  replica.kill('SIGKILL')
  await replica.child.ended
  await promote(leader, { force: true })
  assert.equal((await ask(traffic.atLeader, { method: 'POST', path: '/w', body: 'x' })).status, 200)
  const back = await lab.restart(replica, {}, 'node')
  await requireSame(lab, leader, back)
  assert.equal(await back.metric('walcast_tls_handshakes_failed_total'), 0)
  // The command line asked once in plain text.
  for (const why of ['', 'plaintext'])
    assert.equal(await leader.metric('walcast_tls_handshakes_failed_total', why), 1)
})

labTest('a rogue with its own key at the address of a leader gets no word', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { environment: ENVIRONMENT })
  const flags = ['--reconnect-max', '100ms', '--peer-look', '200ms']
  const options = { environment: ENVIRONMENT, flags }
  const replica = await lab.replica(lab.path('replica.db'), leader, options)
  await waitLevel(leader, replica)
  const before = await replica.status()
  await leader.stop()
  const rogue = await rogueLeader(lab, leader.options.port)
  await until('the rogue is found out', async (saw) => {
    const unproven = await replica.metric('walcast_peers_unproven_total')
    saw(String(unproven))
    return unproven >= 5
  })
  for (const request of rogue.seen) {
    assert.match(request, /^GET \/_walcast\/proof HTTP/)
    assert.doesNotMatch(request, /x-replica-auth/i)
  }
  const { role, epoch, txid } = await replica.status()
  assert.deepEqual([role, epoch, txid], [before.role, before.epoch, before.txid])
  assert.ok(replica.logged('does not prove to be one').length > 0)
  await rogue.close()
  const again = await lab.restart(leader)
  await requireSame(lab, again, replica)
})

describe('a leader that takes only TLS', () => {
  const leaderTest = sharedLab(async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const flags = ['--handshake-timeout', '30s']
    return lab.leader(db, { environment: ENVIRONMENT, flags })
  })

  leaderTest(
    'who passes on bytes between nodes with a key of its own is found out',
    async (lab, leader) => {
      const { key, certificate: cert } = makeKeys()
      const seen: string[] = []
      const server = createTlsServer({ key, cert, requestCert: true, rejectUnauthorized: false })
      server.on('secureConnection', (client: TLSSocket) => {
        const options = { port: leader.options.port, rejectUnauthorized: false, key, cert }
        const there = connectTls(options)
        for (const side of [client, there]) side.on('error', () => {})
        client.on('data', (bytes) => seen.push(bytes.toString('latin1')))
        client.pipe(there).pipe(client)
      })
      server.on('tlsClientError', () => {})
      const between = await listening(lab, server, 0, seen)
      const flags = ['--reconnect-max', '100ms']
      const options = { environment: ENVIRONMENT, flags }
      const replica = await lab.replica(
        lab.path('between.db'),
        `127.0.0.1:${between.port}`,
        options,
      )
      await until(
        'it is found out',
        async () => (await replica.metric('walcast_peers_unproven_total')) >= 5,
      )
      assert.equal((await replica.status()).txid, 0)
      assert.ok(seen.length > 0)
      for (const request of seen) assert.match(request, /^GET \/_walcast\/proof HTTP/)
    },
  )

  leaderTest('slow handshakes and 1,000 open ones hold up no node', async (lab, leader) => {
    const crowd: Socket[] = []
    lab.atEnd(() => {
      for (const socket of crowd) socket.destroy()
    })
    for (let i = 0; i < CROWD; i++) {
      const socket = connect(leader.options.port, '127.0.0.1')
      socket.on('error', () => {})
      // Half of them begin a handshake, and never go on.
      if (i % 2 === 0) socket.write(Buffer.from([22, 3, 1, 2, 0, 1]))
      crowd.push(socket)
    }
    await until('all are connected', () => crowd.every((socket) => !socket.connecting))
    const replica = await lab.replica(lab.path('crowded.db'), leader, { environment: ENVIRONMENT })
    await requireSame(lab, leader, replica)
    await assert.rejects(
      once(
        connectTls({
          port: leader.options.port,
          rejectUnauthorized: false,
          maxVersion: 'TLSv1.2',
        }),
        'secureConnect',
      ),
    )
    await until(
      'TLS 1.2 is counted',
      async () => (await leader.metric('walcast_tls_handshakes_failed_total', 'version')) === 1,
    )
  })

  leaderTest('the port of a node is not asked in plain text, and says so', async (_lab, leader) => {
    const answer = await fetch(`http://${leader.address}/leader`)
    assert.equal(answer.status, 426)
    assert.equal(answer.headers.get('upgrade'), 'TLS/1.3')
    assert.equal(Object(await answer.json()).code, 'WALCAST_TLS_WANTED')
    assert.equal(await leader.metric('walcast_tls_handshakes_failed_total', 'plaintext'), 1)
  })
})

labTest('the node of another cluster is not followed', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const other = { ...ENVIRONMENT, WALCAST_SECRET: 'the secret of quite another cluster' }
  const leader = await lab.leader(db, { environment: other })
  const options = { environment: ENVIRONMENT, flags: ['--reconnect-max', '100ms'] }
  const replica = await lab.replica(lab.path('replica.db'), leader, options)
  await until(
    'it proves nothing',
    async () => (await replica.metric('walcast_peers_unproven_total')) >= 3,
  )
  assert.equal((await replica.status()).txid, 0)
  assert.equal((await leader.status()).replicas?.length, 0)
  // However often it tries.
  const told = await strangersIn(replica)
  assert.deepEqual(told, [`${leader.address}: it does not know the cluster secret`])
})

labTest('a node that wants TLS never falls back to plain text', async (lab) => {
  const seen: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      seen.push(bytes.toString('latin1'))
      const body = '{"code":"WALCAST_INTERNAL"}'
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    })
  })
  const rogue = await listening(lab, server, 0, seen)
  const options = { environment: ENVIRONMENT, flags: ['--reconnect-max', '100ms'] }
  const replica = await lab.replica(lab.path('replica.db'), `127.0.0.1:${rogue.port}`, options)
  await until('it has tried often', () => seen.length >= 10)
  // Each begins with the record of a handshake.
  for (const bytes of seen) assert.equal(bytes.charCodeAt(0), 22)
  assert.equal((await replica.status()).txid, 0)
})

labTest('a removed key is refused, whatever it signs', async (lab) => {
  const traffic = await startTraffic(lab, { environment: ENVIRONMENT })
  const { leader, replica } = traffic
  await waitLevel(leader, replica)
  const { node } = await replica.status()
  await until('the leader knows its key', () => keyOf(leader, node) !== undefined)
  const fingerprint = keyOf(leader, node) ?? ''
  await leader.stop()
  const file = TrustFile.open(`${leader.db}-walcast`, systemFileOps, pino({ level: 'silent' }))
  await file.change((record) => withoutMember(record, fingerprint, node, Date.now()))
  await file.stop()
  const again = await lab.restart(leader)
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('after')")
  await until('the replica is refused', () => replica.logged('KEY_REMOVED').length > 0)
  const refused = await ask(traffic.atReplica, { method: 'POST', path: '/w', body: 'x' })
  assert.equal(refused.status, 503)
  assert.equal(await traffic.leaderApp.count('POST', '/w'), 0)
  assert.notEqual((await replica.status()).txid, (await again.status()).txid)
  assert.deepEqual(await strangersIn(again), [
    `${node} (127.0.0.1): its key was removed from the cluster`,
  ])
})

/** What the audit log of a node says of those who did not prove to be a node. */
async function strangersIn(node: TestNode): Promise<readonly string[]> {
  const { audit = [] } = await node.status()
  return audit.flatMap(({ action, by, detail }) => (action === 'peer' ? `${by}: ${detail}` : []))
}

function keyOf({ db }: TestNode, node: string): string | undefined {
  const record = TrustFile.peek(`${db}-walcast`)
  return record?.members.find((member) => member.node === node)?.fingerprint
}

campaignTest('nodes change from plain text to TLS one by one, and no write fails', async (lab) => {
  const { leader, replicas } = await startNotes(lab, {
    replicas: 2,
    replicaFlags: ['--hold', '60s', '--peer-look', '200ms'],
    leaderFlags: ['--hold', '60s', '--peer-look', '200ms'],
  })
  const [first, second] = replicas
  const writer = new NotesWriter(second)
  const encrypt = async (site: Site): Promise<Site> => {
    await site.node.stop()
    const flags = [...(site.node.options.flags ?? []), '--tls']
    const node = await lab.restart(site.node, { flags }, 'node')
    await node.ready()
    return { ...site, node }
  }
  await writer.goOn()
  const newFirst = await encrypt(first)
  await writer.goOn()
  await writer.moveTo(newFirst)
  const newSecond = await encrypt(second)
  await writer.goOn()
  await switchover(leader.node, { to: newSecond.node.address })
  await writer.goOn()
  const old = await encrypt(leader)
  await writer.goOn()
  assert.deepEqual(await writer.stop(), [])
  for (const { node } of [old, newFirst, newSecond]) {
    assert.equal(fieldOf((await node.get('/leader')).text, 'plaintext'), false)
    if (node !== newSecond.node) await requireSame(lab, newSecond.node, node)
  }
})

labTest(
  "with the operator's authority, its certificates count, and only while valid",
  async (lab) => {
    const authority = new Authority('authority')
    writeFileSync(lab.path('ca.crt'), authority.certificate)
    const flagsOf = (name: string, by = 'ca') => [
      ...['--tls-cert', lab.path(`${name}.crt`), '--tls-key', lab.path(`${name}.key`)],
      ...['--tls-ca', lab.path(`${by}.crt`), '--reconnect-max', '100ms'],
    ]
    writeIssued(lab.path('a'), authority.issue('a'))
    writeIssued(lab.path('b'), authority.issue('b'))
    const environment = { WALCAST_SECRET: SECRET }
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    const leader = await lab.node(db, { environment, flags: flagsOf('a') })
    const follow = (name: string, flags: readonly string[]) =>
      lab.replica(lab.path(`${name}.db`), leader, { environment, flags })
    const replica = await follow('replica', flagsOf('b'))
    await requireSame(lab, leader, replica)

    // A node with the secret and a key of its own, or a certificate of another authority.
    const pinned = await follow('pinned', ['--tls', '--reconnect-max', '100ms'])
    const another = new Authority('another authority')
    writeFileSync(lab.path('another.crt'), another.certificate)
    writeIssued(lab.path('c'), another.issue('c'))
    const foreign = await follow('foreign', flagsOf('c', 'another'))
    await until('the first is refused', () => pinned.logged('WRONG_KEY').length > 0)
    await until(
      'the other believes nobody',
      async () => (await foreign.metric('walcast_peers_unproven_total')) >= 3,
    )
    for (const { node } of (await leader.status()).replicas ?? [])
      assert.equal(node, (await replica.status()).node)

    const before = await certificateOf(leader)
    writeIssued(lab.path('a'), authority.issue('a', Date.now() + 90 * DAY_MS))
    leader.kill('SIGHUP')
    await until('it shows the new one', async () => (await certificateOf(leader)) !== before)
    const renewed = await certificateOf(leader)
    writeFileSync(lab.path('a.crt'), 'junk')
    leader.kill('SIGHUP')
    await until('it says what is broken', () => leader.logged('WALCAST_KEYS_BROKEN').length > 0)
    assert.equal(await certificateOf(leader), renewed)
    await requireSame(lab, leader, replica)

    // A certificate that has ended is refused by the node that has it, and by the others.
    writeIssued(lab.path('b'), authority.issue('b', Date.now() - DAY_MS))
    await replica.stop()
    const start = lab.cli(
      ['replica', '--db', replica.db, '--leader', leader.address, ...flagsOf('b')],
      environment,
    )
    await start.errorLine((line) => line.includes('WALCAST_CERTIFICATE_EXPIRED'))
    assert.equal((await start.ended).code, 1)
  },
)

labTest('a certificate that has ended, or not begun, is refused at both ends', async (lab) => {
  const authority = new Authority('authority')
  writeFileSync(lab.path('ca.crt'), authority.certificate)
  const environment = { WALCAST_SECRET: SECRET }
  const nowMs = Date.now()
  const own = authority.issue('own')
  const wrong = {
    'CERT_HAS_EXPIRED|certificate has expired': authority.issue('ended', nowMs - 60_000),
    'CERT_NOT_YET_VALID|certificate is not yet valid': authority.issue(
      'not begun',
      nowMs + 2 * DAY_MS,
      nowMs + DAY_MS,
    ),
  }
  writeIssued(lab.path('a'), own)
  const flags = [
    ...['--tls-cert', lab.path('a.crt'), '--tls-key', lab.path('a.key')],
    ...['--tls-ca', lab.path('ca.crt'), '--reconnect-max', '100ms'],
  ]
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.node(db, { environment, flags })
  assert.match(await askedWith(leader, authority.issue('good')), /^HTTP\/1.1 200 /)
  for (const [why, issued] of Object.entries(wrong)) {
    // It calls the leader, with a signature that is right.
    const answer = await askedWith(leader, issued)
    assert.match(answer, /^HTTP\/1.1 401 [\s\S]*WALCAST_WRONG_KEY/)
    // It is called, where a replica takes it for the leader.
    const { key, certificate: cert } = issued
    const seen: string[] = []
    const server = createTlsServer({ key, cert }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => seen.push(bytes.toString('latin1')))
    })
    server.on('tlsClientError', () => {})
    const { port } = await listening(lab, server, 0, seen)
    const name = `replica-${port}`
    const there = `127.0.0.1:${port}`
    const replica = await lab.replica(lab.path(`${name}.db`), there, { environment, flags })
    await until('it is not believed', () => replica.logged('WALCAST_PEER_UNPROVEN').length > 0)
    assert.deepEqual(seen, [])
    const [told] = await strangersIn(replica)
    assert.match(told, new RegExp(`^${there}: .*(?:${why})`))
    await replica.stop()
  }
  // Each came with a key of its own, from the same address and for the same reason.
  const told = await strangersIn(leader)
  const unbelieved = 'no authority that is known here vouches for its certificate'
  assert.deepEqual(told, [`node-x (127.0.0.1): ${unbelieved}`])
})

/** What a node answers to a signed question of `node-x` that comes with this certificate. */
async function askedWith({ options, url }: TestNode, issued: Issued): Promise<string> {
  const path = '/_walcast/status'
  const { node: to, timeMs: nowMs } = await receiverAt(url)
  const signature = signatureOf(SECRET, { purpose: 'order', path, to, nowMs, from: 'node-x' })
  const { key, certificate: cert } = issued
  const socket = connectTls({ port: options.port, rejectUnauthorized: false, key, cert })
  socket.end(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Replica-Auth: ${signature}\r\n\r\n`)
  let text = ''
  for await (const bytes of socket) text += String(bytes)
  return text
}

/** SHA-256 of the certificate that a node shows. */
async function certificateOf({ options }: TestNode): Promise<string | undefined> {
  const socket = connectTls({ port: options.port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const shown = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return shown
}

labTest('--plaintext says at each start what it gives up', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const environment = { WALCAST_SECRET: SECRET }
  const start = async (...flags: string[]) => {
    const port = await freePort()
    const node = lab.cli(
      ['leader', '--db', db, '--listen', `0.0.0.0:${port}`, ...flags],
      environment,
    )
    return { node, port }
  }
  const told = await start('--plaintext', '--advertise', '127.0.0.1:1')
  await told.node.errorLine((line) => line.includes('can read the whole database'))
  await told.node.errorLine((line) => line.includes('"msg":"running"'))
  assert.equal((await fetch(`http://127.0.0.1:${told.port}/leader`)).status, 200)
  await told.node.stop('SIGTERM')
  const encrypted = await start('--advertise', '127.0.0.1:1')
  await encrypted.node.errorLine((line) => line.includes('"msg":"running"'))
  assert.equal((await fetch(`http://127.0.0.1:${encrypted.port}/leader`)).status, 426)
  await encrypted.node.stop('SIGTERM')
})
