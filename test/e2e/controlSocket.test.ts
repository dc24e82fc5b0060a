/**
 * The control socket: commands on a node's own machine need neither an address nor a secret, and
 * nobody else gets in.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { MEMBERS } from '../../src/cli/answerShapes.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { localNodes } from '../../src/cli/localNodes.ts'
import { getJson } from '../../src/cli/nodeClient.ts'
import { databaseTarget } from '../../src/cli/nodeTarget.ts'
import { systemCode } from '../../src/errors.ts'
import { STREAMED } from '../../src/security/requestSignature.ts'
import { type Lab, labTest, nodeArguments } from '../support/lab.ts'
import { CLI } from '../support/paths.ts'
import { signatureOf } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const WITH_SECRET = { environment: { WALCAST_SECRET: 'correct horse battery staple' } }
const STATUS_PATH = '/_walcast/status'
/** Users without a name, whom no other test runs nodes for. */
const ALICE = 64_101
const MALLORY = 64_102

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function walcast(
  lab: Lab,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function statusAs(lab: Lab, uid: number, ...args: readonly string[]): Promise<Ran> {
  const child = lab.program('statusAs', { uid, args })
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function startLeader(lab: Lab, name: string, ...flags: string[]): Promise<TestNode> {
  const db = lab.path(`${name}.db`)
  await makeDatabase(lab, db)
  return lab.leader(db, { ...WITH_SECRET, flags: ['--name', name, ...flags] })
}

function socketOf(node: TestNode): string {
  return `${node.db}-walcast/control.sock`
}

/** A connection on which nothing is sent; undefined while the socket takes no more. */
async function connection(path: string): Promise<Socket | undefined> {
  const socket = connect(path)
  try {
    await within('it is let in or refused', once(socket, 'connect'))
    return socket.on('error', () => {})
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return undefined
    throw error
  }
}

/** As if the node were run by this user. */
function giveTo(uid: number, node: TestNode): void {
  chownSync(`${node.db}-walcast`, uid, uid)
  chownSync(socketOf(node), uid, uid)
}

labTest('commands need neither address nor secret on the machine of the node', async (lab) => {
  const leader = await startLeader(lab, 'node-a')
  const replica = await lab.replica(lab.path('copy.db'), leader, {
    ...WITH_SECRET,
    flags: ['--name', 'node-b'],
  })
  await replica.ready()
  await until('both know each other', async () => {
    const [a, b] = [await leader.status(), await replica.status()]
    const knows = ({ members = [] }: typeof a, id: string) =>
      members.some(({ node }) => node === id)
    return knows(a, 'node-b') && knows(b, 'node-a')
  })
  assert.equal((await leader.get('/_walcast/status', {})).status, 401)
  const here = ['--db', replica.db]

  const status = await walcast(lab, ['status', ...here])
  assert.deepEqual([status.code, status.err], [0, ''])
  assert.match(status.out, /^node +node-b$/m)
  const byVariable = await walcast(lab, ['lag', '--json'], { WALCAST_DB: replica.db })
  assert.equal(JSON.parse(byVariable.out).role, 'replica', byVariable.err)
  const itself = await walcast(lab, ['status', 'node-b', ...here])
  assert.match(itself.out, /^node +node-b$/m, itself.err)
  const fromHook = await walcast(lab, ['status'], { WALCAST_DB: leader.db, WALCAST_NODE: 'node-a' })
  assert.match(fromHook.out, /^node +node-a$/m, fromHook.err)
  const dryRun = await walcast(lab, ['promote', '--dry-run', ...here])
  assert.match(dryRun.out, /^against it: .*node-a/m, dryRun.err)

  const other = ['status', 'node-a', ...here]
  const refused = await walcast(lab, other)
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /^WALCAST_UNAUTHORIZED: http:\/\/127\.0\.0\.1:\d+\/\S+ wants the cluster/,
  )
  const reached = await walcast(lab, other, WITH_SECRET.environment)
  assert.match(reached.out, /^node +node-a$/m, reached.err)
  const unknown = await walcast(lab, ['status', 'node-x', ...here])
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /no node node-x was found: node-b knows no node node-x/)

  const demoted = await walcast(lab, ['demote', '--db', leader.db])
  assert.deepEqual([demoted.code, demoted.err], [0, ''])
  const audit = await walcast(lab, ['audit', '--json', '--db', leader.db])
  const by = audit.out.split('\n').map((line) => JSON.parse(line).by)
  assert.ok(
    by.some((who: string) => /^\S+@\S+ \(this machine\)$/.test(who)),
    by.join('; '),
  )
})

labTest(
  'programs ask the paths of the private side over the socket, and no others',
  async (lab) => {
    const leader = await startLeader(lab, 'node-a', '--upstream', 'http://127.0.0.1:9')
    const ask = async (path: string, headers: Record<string, string> = {}) => {
      const asked = request({ socketPath: socketOf(leader), path, headers }).end()
      const [answer] = await within(path, once(asked, 'response'))
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk)
      return [answer.statusCode, JSON.parse(Buffer.concat(chunks).toString())]
    }
    const [status, { node }] = await ask('/_walcast/status')
    assert.deepEqual([status, node], [200, 'node-a'])
    // A name that a web page made point here cannot reach a socket.
    assert.equal((await ask('/leader', { host: 'evil.example' }))[0], 200)
    const token = signatureOf(WITH_SECRET.environment.WALCAST_SECRET, {
      ...{ purpose: 'forward', path: '/', from: 'node-b', to: node, epoch: 1, body: STREAMED },
    })
    const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
    for (const [path, headers] of [
      ['/', {}],
      ['/', { 'x-replica-auth': token }],
      ['/_walcast/stream', upgrade],
    ] as const) {
      const [code, body] = await ask(path, headers)
      assert.deepEqual([code, body.code], [404, 'WALCAST_NOT_FOUND'], path)
    }
  },
)

labTest('a command without an address asks the only node of its user', async (lab) => {
  assert.equal(process.getuid?.(), 0, 'this becomes other users: run it as root')
  chmodSync(lab.folder, 0o755)
  const [a, b] = [await startLeader(lab, 'node-a'), await startLeader(lab, 'node-b')]
  giveTo(ALICE, a)
  const only = await statusAs(lab, ALICE)
  assert.deepEqual([only.code, only.err], [0, ''])
  assert.match(only.out, /^node +node-a$/m)

  giveTo(ALICE, b)
  const several = await statusAs(lab, ALICE)
  assert.equal(several.code, 1)
  assert.equal(
    several.err,
    `WALCAST_SEVERAL_NODES: several nodes run on this machine, with the files ${a.db}, ${b.db}; ` +
      `name one: --db ${a.db}`,
  )
  assert.match((await statusAs(lab, ALICE, '--db', b.db)).out, /^node +node-b$/m)

  assert.equal((await a.stop()).code, 0)
  assert.match((await statusAs(lab, ALICE)).out, /^node +node-b$/m)

  const refused = await statusAs(lab, MALLORY, '--db', b.db)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^WALCAST_OTHER_USERS_NODE: .*EACCES.*; run the command as the user/)
  assert.ok((await statusAs(lab, MALLORY)).err !== '', 'it has none of its own')
})

labTest('only the user of the node may connect, even in a folder open to others', async (lab) => {
  chmodSync(lab.folder, 0o755)
  const [db, open] = [lab.path('open.db'), lab.path('open')]
  await makeDatabase(lab, db)
  mkdirSync(open)
  chmodSync(open, 0o777)
  symlinkSync(open, `${db}-walcast`)
  const options = { db, port: await freePort() }
  const command = ['umask 0; exec "$@"', 'sh', process.execPath, CLI]
  const child = lab.spawn('open', 'sh', ['-c', ...command, ...nodeArguments('leader', options)])
  await child.errorLine((line) => line.includes('"msg":"running"'))
  const node = lab.nodeOf('leader', options, child)
  assert.equal(lstatSync(socketOf(node)).mode & 0o777, 0o600)
  const refused = await statusAs(lab, MALLORY, '--db', db)
  assert.match(refused.err, /^WALCAST_OTHER_USERS_NODE: .*EACCES/)
  // Nor does its socket count among those of the other user.
  assert.doesNotMatch((await statusAs(lab, MALLORY)).err, /OTHER_USERS_NODE|SEVERAL_NODES/)
  assert.equal((await walcast(lab, ['status', '--db', db])).code, 0)
})

labTest('the socket of a long path works, and is found', async (lab) => {
  const deep = lab.path(`${'d'.repeat(100)}/${'e'.repeat(100)}`)
  mkdirSync(deep, { recursive: true })
  const db = `${deep}/long.db`
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, WITH_SECRET)
  assert.ok(lstatSync(socketOf(leader)).isSocket())
  assert.equal((await walcast(lab, ['status', '--db', db])).code, 0)
  assert.ok(localNodes().own.includes(db))
  assert.equal((await leader.stop()).code, 0)
  assert.equal(lstatSync(socketOf(leader), { throwIfNoEntry: false }), undefined)
  assert.ok(!localNodes().own.includes(db))
})

labTest('a stop removes the socket, and a start replaces that of a killed node', async (lab) => {
  const leader = await startLeader(lab, 'node-a')
  await leader.stop('SIGKILL')
  assert.ok(lstatSync(socketOf(leader)).isSocket())
  const stale = await walcast(lab, ['status', '--db', leader.db])
  assert.equal(stale.code, 1)
  assert.match(
    stale.err,
    /^WALCAST_NO_LOCAL_NODE: no node of \S+node-a\.db runs here: the last one was killed; start/,
  )
  assert.ok(!localNodes().own.includes(leader.db))

  const again = await lab.restart(leader)
  assert.equal((await walcast(lab, ['status', '--db', leader.db])).code, 0)
  const second = lab.cli(nodeArguments('leader', { ...leader.options, port: await freePort() }))
  second.expectEnd()
  assert.equal((await second.ended).code, 1)
  assert.match(second.err.join('\n'), /WALCAST_ALREADY_RUNNING/)
  assert.equal((await walcast(lab, ['status', '--db', leader.db])).code, 0, 'it is not replaced')

  assert.equal((await again.stop()).code, 0)
  assert.equal(lstatSync(socketOf(leader), { throwIfNoEntry: false }), undefined)
  assert.match((await walcast(lab, ['status', '--db', leader.db])).err, /WALCAST_NO_LOCAL_NODE/)
})

labTest('what lies in the place of the socket is left alone, and not followed', async (lab) => {
  const leader = await startLeader(lab, 'node-a')
  const place = socketOf(leader)
  const target = lab.path('of-another-program')
  writeFileSync(target, 'content')
  let asked = 0
  const rogue = createServer((socket) => {
    asked++
    socket.destroy()
  })
  const rogueSocket = lab.path('rogue.sock')
  rogue.listen(rogueSocket)
  await once(rogue, 'listening')
  lab.atEnd(() => void rogue.close())
  const cases: readonly (readonly [string, () => void])[] = [
    ['a plain file', () => writeFileSync(place, 'content')],
    ['a folder', () => mkdirSync(place)],
    ['a pipe', () => void spawnSync('mkfifo', [place])],
    [`a symbolic link to ${target}`, () => symlinkSync(target, place)],
    [`a symbolic link to ${rogueSocket}`, () => symlinkSync(rogueSocket, place)],
    [`a symbolic link to ${place}.x`, () => symlinkSync(`${place}.x`, place)],
  ]
  let node = leader
  for (const [kind, put] of cases) {
    await node.stop()
    rmSync(place, { recursive: true, force: true })
    put()
    const before = lstatSync(place)
    node = await lab.restart(leader)
    const [line, ...more] = node.logged('no control socket')
    assert.ok(line.includes(`${place} is ${kind}`), line)
    assert.deepEqual(more, [])
    const after = lstatSync(place)
    assert.deepEqual([after.ino, after.mode, after.size], [before.ino, before.mode, before.size])
    const ran = await walcast(lab, ['status', '--db', leader.db])
    assert.match(ran.err, /^WALCAST_STRANGE_FILE: \S+control\.sock is a /, kind)
    assert.equal((await node.get('/livez')).status, 200)
  }
  assert.equal(asked, 0)
  assert.equal(readFileSync(target, 'utf8'), 'content')
})

labTest('a crowd of idle connections at the socket keeps no command out', async (lab) => {
  const leader = await startLeader(lab, 'node-a')
  const idle: Socket[] = []
  lab.atEnd(() => {
    for (const socket of idle) socket.destroy()
  })
  while (idle.length < 1000)
    idle.push(await until('it is let in', () => connection(socketOf(leader))))

  leader.kill('SIGSTOP')
  let more = await connection(socketOf(leader))
  while (more) {
    idle.push(more)
    more = await connection(socketOf(leader))
  }
  const asked = getJson<{ node: string }>(databaseTarget(leader.db), STATUS_PATH, {}, MEMBERS)
  for (let i = 0; i < 5; i++) assert.equal(await connection(socketOf(leader)), undefined)
  leader.kill('SIGCONT')
  assert.equal((await asked).node, 'node-a', 'it asks again')

  const ran = await walcast(lab, ['status', '--db', leader.db])
  assert.deepEqual([ran.code, ran.err], [0, ''])
  await until('most are cut', () => idle.filter(({ destroyed }) => !destroyed).length <= 100)
  assert.ok((await leader.metric('walcast_connections_cut_total', 'side="control"')) >= 900)
  assert.equal((await leader.get('/readyz')).status, 200)
  assert.equal((await leader.stop()).code, 0)
})
