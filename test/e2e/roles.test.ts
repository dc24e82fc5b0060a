/**
 * What belongs to a role: the command `node`, standbys, the fence of a lone leader, hooks, events,
 * `walcast run`, rehearsals.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest, waitLevel } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'

const FLAGS = ['--heartbeat', '100ms']
const QUICK = [...FLAGS, '--reconnect-max', '100ms']

async function makeDatabase(lab: Lab, name = 'a.db'): Promise<string> {
  const db = lab.path(name)
  await lab.exec(db, 'PRAGMA journal_mode = wal', 'CREATE TABLE t (v)', 'INSERT INTO t VALUES (1)')
  return db
}

async function done(
  node: TestNode,
  path: string,
  body: object = {},
): Promise<Record<string, unknown>> {
  const { status, text } = await node.post(`/_walcast/${path}`, body)
  assert.equal(status, 200, text)
  return JSON.parse(text)
}

async function roleOf(node: TestNode): Promise<string> {
  return (await node.status()).role
}

labTest('walcast node leads or follows as its role file says', async (lab) => {
  const leader = await lab.node(await makeDatabase(lab), { flags: FLAGS })
  assert.equal(await roleOf(leader), 'leader')
  const environment = { WALCAST_LEADER: leader.address }
  const replica = await lab.node(lab.path('b.db'), { flags: QUICK, environment })
  await replica.ready()
  assert.equal(await roleOf(replica), 'replica')
  await done(leader, 'switchover')
  // Their first flags say the opposite of their current roles.
  await replica.stop()
  await leader.stop()
  const [second, first] = [await lab.restart(replica), await lab.restart(leader)]
  await until(
    'roles are as they were',
    async () => (await roleOf(second)) === 'leader' && (await roleOf(first)) === 'replica',
  )
  await waitLevel(second, first)
  // A restored database does not change the role, which lies beside it.
  await lab.exec(second.db, 'INSERT INTO t VALUES (2)')
  await waitLevel(second, first)
})

labTest('a promoted standby serves, and is a standby again when demoted', async (lab) => {
  const leader = await lab.node(await makeDatabase(lab), { flags: FLAGS })
  const standby = await lab.replica(lab.path('b.db'), leader, { flags: [...QUICK, '--standby'] })
  await until('it has its copy', async () => (await standby.status()).state === 'streaming')
  assert.equal(await roleOf(standby), 'standby')
  await done(leader, 'switchover')
  assert.equal(await roleOf(standby), 'leader')
  await done(standby, 'switchover')
  assert.equal(await roleOf(standby), 'standby')
  await standby.stop()
  const again = await lab.restart(standby, { flags: QUICK }, 'node')
  assert.equal(await roleOf(again), 'standby', 'the role file has kept it')
})

labTest('--fence-when-alone: no replica, no writes', async (lab) => {
  const db = await makeDatabase(lab)
  const app = lab.sql(db, { timeoutMs: 0 })
  const leader = await lab.leader(db, { flags: [...FLAGS, '--fence-when-alone', '1s'] })
  const link = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => link.close())
  const replica = await (
    await lab.replica(lab.path('b.db'), link.address, { flags: QUICK })
  ).ready()
  // The replica may start later than the leader waits for it.
  await until('writes are let in', () => app.rows('INSERT INTO t VALUES (2)'))
  link.tamper = () => undefined
  link.cutAll()
  const isLocked = () =>
    app.rows('INSERT INTO t VALUES (3)').then(
      () => false,
      (error) => /locked/.test(String(error)),
    )
  await until('nobody can write', isLocked)
  assert.equal((await leader.get('/leader')).status, 503)
  assert.equal(
    Number((await app.rows('SELECT count(*) FROM t'))[0][0]) >= 2,
    true,
    'it is read as before',
  )
  link.tamper = (bytes) => bytes
  await until('writes are let in', async () => !(await isLocked()))
  await until('it is open again', async () => (await leader.get('/leader')).status === 200)
  await waitLevel(leader, replica)
  await app.close()
})

labTest('hook and event report a role change, and a rehearsal goes there and back', async (lab) => {
  const told = lab.path('told.txt')
  const hook = ['--on-role-change', `echo "$WALCAST_WAS $WALCAST_ROLE $WALCAST_EPOCH" >> ${told}`]
  const leader = await lab.leader(await makeDatabase(lab), { flags: [...FLAGS, ...hook] })
  const replica = await (await lab.replica(lab.path('b.db'), leader, { flags: QUICK })).ready()
  const events = await fetch(`${replica.url}/_walcast/events`)
  const roles = rolesIn(events)
  assert.equal((await roles.next()).value, 'replica')
  await done(leader, 'switchover')
  assert.equal((await roles.next()).value, 'leader')
  await until('the hook has run', () => readFileSync(told, 'utf8') === 'leader replica 1\n')
  await roles.return(undefined)

  const rehearsal = lab.cli(['rehearse', '--node', replica.url, '--json'])
  const { code } = await rehearsal.ended
  assert.equal(code, 0, rehearsal.tail())
  assert.equal(await roleOf(replica), 'leader', 'it ends where it began')
  await until('the hook has run again', () => readFileSync(told, 'utf8').split('\n').length === 4)
  const { entries } = JSON.parse((await leader.get('/_walcast/audit')).text)
  assert.ok(
    entries.some(
      ({ action, by }: Record<string, string>) => action === 'rehearse' && /rehearsal/.test(by),
    ),
  )
})

/** The roles in a stream of server-sent events. */
async function* rolesIn({ body }: Response): AsyncGenerator<string, void, undefined> {
  let text = ''
  for await (const chunk of body ?? []) {
    text += Buffer.from(chunk).toString()
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^event: role\ndata: (.*)$/.exec(text.slice(0, end))?.[1]
      text = text.slice(end + 2)
      if (data) yield JSON.parse(data).role
    }
  }
}

labTest('walcast run restarts the application in its new role', async (lab) => {
  const leader = await lab.node(await makeDatabase(lab), { flags: FLAGS })
  const program = lab.path('application.mjs')
  writeFileSync(
    program,
    "console.log('as ' + process.env.WALCAST_ROLE); setInterval(() => {}, 1000)",
  )
  const port = await freePort()
  const run = lab.cli(
    [
      'run',
      '--db',
      lab.path('b.db'),
      '--listen',
      `127.0.0.1:${port}`,
      ...QUICK,
      '--',
      process.execPath,
      program,
    ],
    { WALCAST_LEADER: leader.address },
  )
  await run.line((line) => line === 'as replica')
  await until('it is connected', async () =>
    (await leader.status()).replicas.some(({ state }) => state === 'streaming'),
  )
  await done(leader, 'switchover')
  const { at } = await run.line((line) => line === 'as leader')
  await done(leader, 'switchover')
  await run.line((line) => line === 'as replica', at)
  assert.equal((await run.stop('SIGTERM')).code, 0)
})
