/**
 * Answers that wait until replicas hold the write: real nodes before real applications, checked by
 * what SQLite finds in the files.
 */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import type { FileOp } from '../../src/platform/fileOps.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { type NotesCluster, post, type Site, startNotes } from '../support/notesCluster.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import { until } from '../support/until.ts'

const ACK = (level: string) => ({ 'walcast-ack': level })
/** Long enough for a replica on a busy machine, short enough to be waited for. */
const SHORT = ['--ack-timeout', '2s']

interface Posted {
  readonly status: number
  readonly acked: string | null
  readonly notReplicated: string | null
  readonly text: string
}

async function postNote(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Posted> {
  const answer = await post(`${url}/notes`, body, headers)
  return {
    status: answer.status,
    acked: answer.headers.get('walcast-acked'),
    notReplicated: answer.headers.get('walcast-not-replicated'),
    text: await answer.text(),
  }
}

async function bodiesIn(lab: Lab, { node }: Site): Promise<Set<string>> {
  const session = lab.sql(node.db, { readOnly: true })
  const rows = await session.rows('SELECT body FROM notes')
  await session.close()
  return new Set(rows.map(([body]) => String(body)))
}

async function requireWritten(lab: Lab, site: Site, body: string): Promise<void> {
  assert.ok((await bodiesIn(lab, site)).has(body), `${body} stands`)
}

function cutOff({ links }: NotesCluster, index: number): void {
  links[index].tamper = () => undefined
  links[index].cutAll()
}

function mend({ links }: NotesCluster, index: number): void {
  links[index].tamper = (bytes) => bytes
}

labTest('Walcast-Ack: the answer says whether a replica holds the write', async (lab) => {
  const cluster = await startNotes(lab, { replicas: 1, leaderFlags: ['--ack', 'one', ...SHORT] })
  const { leader, replicas } = cluster
  const [replica] = replicas
  for (const url of [leader.url, replica.url]) {
    const held = await postNote(url, `held ${url}`)
    assert.deepEqual([held.status, held.acked, held.notReplicated], [201, 'one; replicas=1', null])
    await requireWritten(lab, replica, `held ${url}`)
    const local = await postNote(url, `local ${url}`, ACK('local'))
    assert.deepEqual([local.status, local.acked, local.notReplicated], [201, null, null])
    const asked = await postNote(url, `asked ${url}`, ACK('all'))
    assert.deepEqual([asked.acked, asked.notReplicated], ['all; replicas=1', null])
    const bad = await postNote(url, `bad ${url}`, ACK('most'))
    assert.equal(bad.status, 400)
    assert.equal(JSON.parse(bad.text).code, 'WALCAST_BAD_REQUEST')
    assert.ok(!(await bodiesIn(lab, leader)).has(`bad ${url}`), 'nothing was executed')
  }
  const more = await postNote(leader.url, 'more', ACK('2'))
  assert.deepEqual(
    [more.acked, more.notReplicated],
    [null, '2; replicas=1'],
    'there are not so many',
  )
  const read = await fetch(leader.url)
  assert.equal(read.headers.get('walcast-acked'), null, 'a read waits for nothing')
  const based = await fetch(leader.url, { headers: ACK('one') })
  assert.equal(based.headers.get('walcast-acked'), 'one; replicas=1', 'unless it asks')

  const key = { 'idempotency-key': 'k1' }
  const first = await postNote(leader.url, 'keyed', key)
  assert.equal(first.acked, 'one; replicas=1')
  cutOff(cluster, 0)
  await until('it is away', async () => !(await leader.node.status()).replicas[0].connected)
  const alone = await postNote(leader.url, 'alone')
  assert.deepEqual([alone.status, alone.acked, alone.notReplicated], [201, null, 'one; replicas=0'])
  await requireWritten(lab, leader, 'alone')
  assert.ok(!(await bodiesIn(lab, replica)).has('alone'))
  const again = await postNote(leader.url, 'keyed', key)
  assert.deepEqual(
    [again.text, again.acked, again.notReplicated],
    [first.text, null, 'one; replicas=0'],
  )
  assert.equal(await leader.node.metric('walcast_ack_total', 'outcome="timeout"'), 2)
  assert.equal(await leader.node.metric('walcast_ack_waits'), 0)

  const waiting = post(`${leader.url}/notes`, 'waits', ACK('one'))
  mend(cluster, 0)
  await waiting
  await until(
    'it is back',
    async () => (await postNote(leader.url, 'back')).acked === 'one; replicas=1',
  )
  const last = await postNote(leader.url, 'keyed', key)
  assert.deepEqual([last.text, last.acked], [first.text, 'one; replicas=1'])
})

labTest('without a replica no write is acknowledged, and none waits', async (lab) => {
  const { leader } = await startNotes(lab, { replicas: 0, leaderFlags: ['--ack', 'all'] })
  for (const level of ['all', 'one', '2', 'one-durable', 'all-durable']) {
    const answer = await postNote(leader.url, level, ACK(level))
    assert.deepEqual([answer.status, answer.notReplicated], [201, `${level}; replicas=0`])
    await requireWritten(lab, leader, level)
  }
  assert.equal(await leader.node.metric('walcast_ack_total', 'outcome="alone"'), 5)
})

labTest('kill -9 of the leader: a write acknowledged by one replica survives', async (lab) => {
  const cluster = await startNotes(lab, { leaderFlags: ['--ack', 'one'] })
  const { leader, replicas, links } = cluster
  // Slow, so that batches that were only sent die with the leader.
  for (const link of links) link.streamDelayMs = 30
  const acked: string[] = []
  let answered = 0
  let isOver = false
  const client = async (name: string): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const body = `${name}-${i}`
      const answer = await postNote(leader.url, body).catch(() => undefined)
      if (!answer) return
      answered++
      if (answer.acked?.startsWith('one; ')) acked.push(body)
    }
  }
  const clients = Array.from({ length: 16 }, (_, i) => client(`c${i}`))
  await until('enough are acknowledged', () => acked.length >= 150)
  const ended = leader.node.stop('SIGKILL')
  isOver = true
  await Promise.all([ended, ...clients])
  for (const link of links) link.cutAll()
  const files = await Promise.all(replicas.map((replica) => bodiesIn(lab, replica)))
  const lost = acked.filter((body) => !files.some((bodies) => bodies.has(body)))
  assert.deepEqual(lost, [])
  assert.ok(acked.length >= 150 && answered >= acked.length)
})

labTest('ack all waits for a frozen replica and does not count it', async (lab) => {
  const { leader, replicas } = await startNotes(lab, { leaderFlags: ['--ack', 'all', ...SHORT] })
  assert.equal((await postNote(leader.url, 'both')).acked, 'all; replicas=2')
  replicas[1].node.kill('SIGSTOP')
  const frozen = await postNote(leader.url, 'frozen')
  assert.deepEqual(
    [frozen.status, frozen.acked, frozen.notReplicated],
    [201, null, 'all; replicas=1'],
  )
  assert.equal((await postNote(leader.url, 'one', ACK('one'))).acked, 'one; replicas=1')
  assert.equal((await postNote(leader.url, 'two', ACK('2'))).notReplicated, '2; replicas=1')
  const thawing = postNote(leader.url, 'thawed', ACK('one'))
  replicas[1].node.kill('SIGCONT')
  await thawing
  await until(
    'both again',
    async () => (await postNote(leader.url, 'both')).acked === 'all; replicas=2',
  )
})

labTest('a durable acknowledgement comes after the sync of the copy', async (lab) => {
  const { leader, replicas } = await startNotes(lab, { leaderFlags: ['--ack-timeout', '60s'] })
  const syncs = () =>
    Promise.all(replicas.map(({ node }) => node.metric('walcast_durable_sync_seconds_count')))
  for (let i = 0; i < 5; i++) await postNote(leader.url, `plain ${i}`, ACK('all'))
  assert.deepEqual(await syncs(), [0, 0], 'nobody asked for it')
  const durable = await postNote(leader.url, 'durable', ACK('all-durable'))
  assert.deepEqual([durable.acked, durable.notReplicated], ['all-durable; replicas=2', null])
  assert.deepEqual(await syncs(), [1, 1])
  for (let i = 2; i <= 4; i++) {
    assert.equal(
      (await postNote(leader.url, `${i}`, ACK('2-durable'))).acked,
      '2-durable; replicas=2',
    )
    assert.deepEqual(await syncs(), [i, i])
  }
  const burst = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      postNote(replicas[i % 2].url, `burst ${i}`, ACK('all-durable')),
    ),
  )
  assert.ok(burst.every(({ acked }) => acked === 'all-durable; replicas=2'))
  for (const count of await syncs()) assert.ok(count < 40, 'one sync serves many')
})

labTest(
  'a replica that cannot sync gives no durable acknowledgement, but still counts',
  async (lab) => {
    const url = await startPlainLeader(lab)
    const trigger = lab.path('cannot-sync')
    writeFileSync(trigger, '')
    const link = await TcpProxy.start(Number(url.leader.split(':')[1]))
    lab.atEnd(() => link.close())
    await startFailing(lab, link.address, 'copy.sync', trigger)
    assert.equal((await postNote(url.app, 'a', ACK('one'))).acked, 'one; replicas=1')
    assert.equal(
      (await postNote(url.app, 'b', ACK('one-durable'))).notReplicated,
      'one-durable; replicas=0',
    )
    assert.equal((await postNote(url.app, 'c', ACK('one'))).acked, 'one; replicas=1')
    rmSync(trigger)
    // On a new connection the replica is asked for it again.
    link.cutAll()
    await until(
      'it is back',
      async () => (await postNote(url.app, 'back', ACK('one'))).acked !== null,
    )
    const later = await postNote(url.app, 'd', ACK('one-durable'))
    assert.equal(
      later.notReplicated,
      'one-durable; replicas=0',
      'a failed sync is not made good by the next',
    )
  },
)

labTest('durable acknowledgements survive checkpoints and reconnects', async (lab) => {
  const cluster = await startNotes(lab, {
    replicas: 1,
    leaderFlags: ['--ack', 'one-durable', '--ack-timeout', '10s'],
    replicaFlags: ['--replica-wal', '64KiB', '--idle', '50ms'],
  })
  const { leader, replicas, links } = cluster
  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        postNote(leader.url, `${round}-${i} ${'x'.repeat(2000)}`),
      ),
    )
    assert.deepEqual([...new Set(answers.map(({ acked }) => acked))], ['one-durable; replicas=1'])
    if (round % 2 === 1) links[0].cutAll()
  }
  assert.ok((await replicas[0].node.metric('walcast_checkpoints_total')) > 0)
  assert.equal((await bodiesIn(lab, replicas[0])).size, 80)
})

async function startPlainLeader(
  lab: Lab,
): Promise<{ readonly leader: string; readonly app: string }> {
  const db = lab.path('leader.db')
  await lab.exec(
    db,
    'PRAGMA journal_mode=wal',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)',
  )
  const [proxyPort, appPort] = [await freePort(), await freePort()]
  const app = lab.program('notesApp', { path: db, name: 'leader', port: appPort })
  await app.line((line) => line.includes('listening'))
  const flags = ['--proxy', `127.0.0.1:${proxyPort}`, '--upstream', `http://127.0.0.1:${appPort}`]
  const node = await lab.leader(db, { flags: [...flags, ...SHORT] })
  return { leader: node.address, app: `http://127.0.0.1:${proxyPort}` }
}

async function startFailing(
  lab: Lab,
  leader: string,
  op: FileOp,
  fullWhile: string,
): Promise<void> {
  const options = { db: lab.path('replica.db'), port: await freePort(), leader }
  const child = lab.program('replicaAt', { args: nodeArguments('replica', options), op, fullWhile })
  await child.errorLine((line) => line.includes('"msg":"running"'))
  await lab.nodeOf('replica', options, child).ready()
}
