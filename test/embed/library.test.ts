/** `walcast` as a library: what it opens, holds, tells and leaves behind. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { openReplica, parsePosition, WalcastError } from '../../src/embed/library.ts'
import {
  countOf,
  embeddedLeader,
  embeddedPair,
  freeAddress,
  newDatabase,
} from '../support/embedded.ts'
import { labTest } from '../support/lab.ts'
import { PATIENCE_MS, until, within } from '../support/until.ts'

labTest('a process ends by itself after close, and after every start that fails', async (lab) => {
  const addresses = [await freeAddress(), await freeAddress()]
  const child = lab.program('embeddedCycle', { folder: lab.folder, addresses })
  child.expectEnd()
  const { code } = await within('it ends', child.ended)
  assert.equal(code, 0, child.tail())
  assert.deepEqual(child.err, [])
  const [first, ...rest] = child.out.map((line) => JSON.parse(line))
  assert.deepEqual(first.failures, {
    missing: 'WALCAST_DB_MISSING',
    noSqlite: 'WALCAST_DB_NOT_SQLITE',
    taken: 'WALCAST_PORT_TAKEN',
    takenReplica: 'WALCAST_PORT_TAKEN',
    secret: 'WALCAST_SECRET_UNREADABLE',
    open: 'WALCAST_OPEN_WITHOUT_SECRET',
    everywhere: 'WALCAST_USAGE',
    nowhere: 'WALCAST_USAGE',
    noCopy: 'WALCAST_NOT_A_COPY',
    self: 'WALCAST_SELF_LEADER',
    foreign: 'WALCAST_FOREIGN_HANDLE',
    key: 'WALCAST_USAGE',
    value: 'WALCAST_USAGE',
    address: 'WALCAST_USAGE',
    role: 'WALCAST_USAGE',
    standby: 'WALCAST_USAGE',
    noLeader: 'WALCAST_USAGE',
    noDb: 'WALCAST_USAGE',
    memory: 'WALCAST_USAGE',
  })
  assert.deepEqual(first.resources, [])
  assert.deepEqual(
    first.files.filter((name: string) => !name.startsWith('b.db-walcast')),
    [],
  )
  const [one, two, last] = rest
  for (const round of [one, two]) {
    assert.equal(round.twice, 'WALCAST_ALREADY_RUNNING')
    assert.equal(round.role, 'leader', 'the role file counts, whatever the function is called')
    assert.deepEqual(
      [round.mine, round.theirs],
      [true, false],
      'closes what it opened, and nothing else',
    )
    assert.deepEqual(round.resources, [])
    for (const name of [
      'SIGTERM',
      'SIGINT',
      'SIGHUP',
      'uncaughtException',
      'unhandledRejection',
      'beforeExit',
    ])
      assert.ok(
        !round.during.some((line: string) => line.startsWith(name)),
        `no listener of ${name}`,
      )
  }
  // A logger listens for the exit of the process until it is garbage-collected.
  const [before, after, during, duringAgain] = [...last.listeners, one.during, two.during].map(
    (all: string[]) => all.filter((line) => !line.startsWith('exit')),
  )
  assert.deepEqual(after, before)
  assert.deepEqual(duringAgain, during)
})

labTest('listeners that throw stop nothing', async (lab) => {
  const addresses = [await freeAddress(), await freeAddress()]
  const child = lab.program('embeddedListeners', { folder: lab.folder, addresses })
  child.expectEnd()
  await within('it ends', child.ended)
  const { rows, uncaught, failed, states } = JSON.parse(child.out[0])
  assert.deepEqual([rows, failed, states], [5, 0, ['capturing', 'streaming']])
  assert.ok(uncaught >= 5)
})

labTest('positions: told, awaited, refused', async (lab) => {
  const { leader, replica } = await embeddedPair(lab)
  assert.deepEqual([leader.node.role, leader.node.isLeading], ['leader', true])
  assert.deepEqual([replica.node.role, replica.node.isLeading], ['replica', false])
  const told: [string, number][] = []
  for (const [name, { node }] of Object.entries({ leader, replica }))
    node.on('position', ({ txid }) => told.push([name, txid]))
  const { epoch, txid } = leader.node.position
  const coming = replica.node.waitFor(`${epoch}-${txid + 3}`)
  for (let i = 0; i < 3; i++) leader.db.exec('INSERT INTO t (b) VALUES (1)')
  await coming
  assert.equal(countOf(replica.db), 3)
  assert.deepEqual(replica.node.position, { epoch, txid: txid + 3 })
  for (const name of ['leader', 'replica']) {
    const mine = told.filter(([who]) => who === name).map(([, at]) => at)
    assert.equal(mine.at(-1), txid + 3)
    assert.deepEqual(
      mine,
      [...new Set(mine)].sort((a, b) => a - b),
      'once each, in order',
    )
  }
  for (const { node } of [leader, replica]) {
    await assert.rejects(node.waitFor('soon'), { code: 'WALCAST_BAD_REQUEST' })
    await assert.rejects(node.waitFor(`${epoch}-${txid + 9}`, { timeoutMs: 20 }), {
      code: 'WALCAST_WAIT_TIMEOUT',
    })
  }
  await assert.rejects(leader.node.waitFor(`${epoch + 1}-${txid}`), {
    code: 'WALCAST_POSITION_UNKNOWN',
  })
  const forever = replica.node.waitFor(`${epoch}-${txid + 9}`, {
    timeoutMs: Number.POSITIVE_INFINITY,
  })
  const late = Promise.race([forever.then(() => 'reached'), delay(50, 'waiting')])
  assert.equal(await late, 'waiting')
  const stopped = assert.rejects(forever, { code: 'WALCAST_STOPPING' })
  await replica.node.close()
  await stopped
  assert.ok(parsePosition(`${epoch}-${txid}`))
})

labTest('handles: query_only while not leading, kept apart by who opened them', async (lab) => {
  const { leader, replica } = await embeddedPair(lab)
  const mine = newDatabase(lab.path('other.db'))
  replica.node.adopt(mine)
  assert.throws(() => mine.exec('INSERT INTO t (b) VALUES (1)'), { code: 'SQLITE_READONLY' })
  assert.throws(() => replica.node.adopt({}), { code: 'WALCAST_FOREIGN_HANDLE' })
  const extra = leader.node.open()
  extra.exec("INSERT INTO t (b) VALUES ('through a handle of the node')")
  const readonly = replica.node.open({ readonly: true })
  await until('applied', () => countOf(readonly) === 1)
  const iterator = replica.db.prepare('SELECT * FROM t').iterate()
  iterator.next()
  iterator.return?.()
  readonly.close()
  await replica.node.close()
  assert.deepEqual([mine.open, replica.db.open], [true, false])
  assert.throws(() => mine.exec('INSERT INTO t (b) VALUES (1)'), { code: 'SQLITE_READONLY' })
  mine.close()
  await leader.node.close()
  assert.deepEqual([leader.db.open, extra.open], [true, false])
})

labTest('a replica opens before its leader is there, and says when it is ready', async (lab) => {
  const [a, b] = [await freeAddress(), await freeAddress()]
  const replica = await openReplica({
    db: lab.path('b.db'),
    leader: a,
    listen: b,
    reconnectMaxMs: 100,
  })
  lab.atEnd(() => replica.close())
  await assert.rejects(replica.ready({ timeoutMs: 50 }), { code: 'WALCAST_WAIT_TIMEOUT' })
  assert.throws(() => replica.open(), /unable to open|no such|directory does not exist/)
  const ready = replica.ready({ timeoutMs: PATIENCE_MS })
  const { db } = await embeddedLeader(lab, { listen: a })
  db.exec('INSERT INTO t (b) VALUES (1)')
  assert.equal(await ready, replica)
  const handle = replica.open()
  await until('applied', () => countOf(handle) === 1)
})

labTest('secrets: nodes with another one are kept out, and it is in no status', async (lab) => {
  const secret = 'correct horse battery staple'
  const a = await freeAddress()
  const { node } = await embeddedLeader(lab, { listen: a, secret })
  const open = async (name: string, given: string | undefined) => {
    const replica = await openReplica({
      db: lab.path(name),
      leader: a,
      listen: await freeAddress(),
      reconnectMaxMs: 100,
      secret: given,
    })
    lab.atEnd(() => replica.close())
    return replica
  }
  const good = await open('good.db', secret)
  const bad = await open('bad.db', `${secret}x`)
  const failures: string[] = []
  bad.on('failed', ({ code }) => failures.push(code))
  await good.ready({ timeoutMs: PATIENCE_MS })
  // A stranger may answer there: it must not end the replica, which says why it copies nothing.
  await until('it says why', () => bad.status.lastError?.code === 'WALCAST_PEER_UNPROVEN')
  await assert.rejects(bad.ready({ timeoutMs: 10 }), { code: 'WALCAST_WAIT_TIMEOUT' })
  assert.deepEqual([bad.status.epoch, bad.status.txid], [0, 0])
  assert.deepEqual([failures, bad.failure], [[], undefined])
  assert.deepEqual([good.failure, node.failure], [undefined, undefined])
  assert.ok(!JSON.stringify([node.status, good.status, bad.status]).includes(secret))
  assert.ok(new WalcastError('STARTING').line.startsWith('WALCAST_STARTING: '))
})
