/**
 * Bad input, at the start and while running: one line with a code, the right exit code, and no file
 * lost or changed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { freePort } from '../../src/cli/freePorts.ts'
import { nodeOptions } from '../../src/cli/nodeArguments.ts'
import { WalcastError } from '../../src/errors.ts'
import { requireSafeLibrary } from '../../src/sqlite/libraryVersion.ts'
import type { Child } from '../support/child.ts'
import { type Lab, labTest, nodeArguments, requireSame } from '../support/lab.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase, numbers, Reader, Writer } from '../support/workload.ts'

const SECRET = 'a secret of enough characters'

/** Runs the command and requires one line with `code` on standard error, and no standard output. */
async function refused(
  lab: Lab,
  args: readonly string[],
  code: string,
  options: { readonly environment?: Record<string, string>; readonly exit?: number } = {},
): Promise<string> {
  const child = lab.cli(args, options.environment)
  const { code: exit } = await within(`refusal with ${code}`, child.ended)
  const lines = child.err.filter((line) => !line.startsWith('{'))
  assert.equal(lines.length, 1, child.tail())
  assert.match(lines[0], new RegExp(`^WALCAST_${code}: .+; .+`))
  assert.ok(!/\n\s+at /.test(child.err.join('\n')), 'no stack')
  assert.equal(exit, options.exit ?? 1, child.tail())
  assert.deepEqual(child.out, [])
  return lines[0]
}

async function leaderArguments(db: string, flags: readonly string[] = []): Promise<string[]> {
  return nodeArguments('leader', { db, port: await freePort(), flags })
}

async function replicaArguments(
  db: string,
  leader: string,
  flags: readonly string[] = [],
): Promise<string[]> {
  return nodeArguments('replica', { db, port: await freePort(), leader, flags })
}

labTest('a leader refuses missing files and files that are not databases', async (lab) => {
  const missing = lab.path('missing.db')
  await refused(lab, await leaderArguments(missing), 'DB_MISSING')
  assert.deepEqual(readdirSync(lab.folder), [], 'nothing was made')
  await refused(lab, await leaderArguments(lab.path('no/such/folder.db')), 'DB_UNREADABLE')
  mkdirSync(lab.path('folder'))
  await refused(lab, await leaderArguments(lab.path('folder')), 'DB_NOT_SQLITE')
  for (const [name, content] of [
    ['text.db', 'This is a text, and no database at all. '.repeat(100)],
    ['short.db', 'SQLite format 3\0'],
    ['other.db', `SQLite format 2\0${'x'.repeat(5000)}`],
  ]) {
    writeFileSync(lab.path(name), content)
    await refused(lab, await leaderArguments(lab.path(name)), 'DB_NOT_SQLITE')
    assert.equal(readFileSync(lab.path(name), 'utf8'), content)
  }
  assert.deepEqual(readdirSync(lab.folder).sort(), ['folder', 'other.db', 'short.db', 'text.db'])
})

labTest('a database locked in exclusive mode is refused', async (lab) => {
  const db = lab.path('a.db')
  for (const journalMode of ['delete', 'wal'] as const) {
    const path = `${db}-${journalMode}.db`
    await makeDatabase(lab, path, { journalMode })
    const holder = lab.sql(path)
    await holder.rows('PRAGMA locking_mode=EXCLUSIVE')
    await holder.rows('BEGIN EXCLUSIVE')
    await holder.rows("INSERT INTO log (who) VALUES ('mine')")
    await refused(lab, await leaderArguments(path), 'DB_LOCKED')
    await holder.rows('COMMIT')
    await holder.close()
    await (await lab.leader(path)).stop()
  }
})

labTest('taken ports, second leaders and wrong roles are refused', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  await refused(lab, await leaderArguments(db), 'ALREADY_RUNNING')
  await refused(lab, await leaderArguments(`${lab.folder}/./leader.db`), 'ALREADY_RUNNING')
  const other = lab.path('other.db')
  await makeDatabase(lab, other)
  await refused(
    lab,
    nodeArguments('leader', { db: other, port: leader.options.port }),
    'PORT_TAKEN',
  )
  const far = ['--listen', '192.0.2.1:80']
  const fresh = ['replica', '--db', lab.path('fresh.db'), '--leader', leader.address, ...far]
  await refused(lab, fresh, 'OPEN_WITHOUT_SECRET')
  const environment = { WALCAST_SECRET: SECRET }
  await refused(lab, ['leader', '--db', other, '--listen', '192.0.2.1:80'], 'LISTEN_FAILED', {
    environment,
  })

  const copy = lab.path('replica.db')
  const port = await freePort()
  const self = nodeArguments('replica', { db: copy, port, leader: `127.0.0.1:${port}` })
  await refused(lab, self, 'SELF_LEADER')
  const replica = await (await lab.replica(copy, leader)).ready()
  await replica.stop()
  // The role file decides, whatever the command is.
  const asLeader = await lab.leader(copy)
  assert.equal((await asLeader.status()).role, 'replica')
  assert.ok(asLeader.logged('the role file counts').length > 0)
  await asLeader.stop()
  await leader.stop()
  const asReplica = await lab.replica(db, '127.0.0.1:9')
  assert.equal((await asReplica.status()).role, 'leader')
  assert.ok(asReplica.logged('the role file counts').length > 0)
  await asReplica.stop()
})

labTest('a replica pointed at a foreign database touches nothing', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const foreign = lab.path('foreign.db')
  await makeDatabase(lab, foreign, { rows: 50 })
  const text = lab.path('text.db')
  writeFileSync(text, 'keep me')
  writeFileSync(lab.path('lone.db-wal'), 'a WAL without its database')
  const before = new Map(
    ['foreign.db', 'text.db', 'lone.db-wal'].map((name) => [name, readFileSync(lab.path(name))]),
  )
  const names = readdirSync(lab.folder).sort()
  await refused(lab, await replicaArguments(foreign, leader.address), 'NOT_A_COPY')
  await refused(lab, await replicaArguments(text, leader.address), 'NOT_A_COPY')
  await refused(lab, await replicaArguments(lab.path('lone.db'), leader.address), 'STRAY_WAL')
  for (const [name, content] of before)
    assert.ok(readFileSync(lab.path(name)).equals(content), `${name} is untouched`)
  assert.deepEqual(readdirSync(lab.folder).sort(), names, 'nothing was made')

  // A database put in the place of a cut first copy is not taken for that copy.
  mkdirSync(`${foreign}-walcast`)
  const record = {
    format: 2,
    node: 'cut',
    cluster: (await leader.status()).cluster,
    role: 'replica',
    epoch: 1,
    txidCeiling: 0,
  }
  writeFileSync(`${foreign}-walcast/node.json`, JSON.stringify(record))
  await refused(lab, await replicaArguments(foreign, leader.address), 'NOT_A_COPY')
  assert.ok(
    readFileSync(foreign).equals(before.get('foreign.db') ?? Buffer.alloc(0)),
    'it is untouched',
  )
})

labTest('a replica of another cluster is refused', async (lab) => {
  const [a, b] = [lab.path('a.db'), lab.path('b.db')]
  await makeDatabase(lab, a)
  await makeDatabase(lab, b)
  const [leaderA, leaderB] = [await lab.leader(a), await lab.leader(b)]
  const replica = await (await lab.replica(lab.path('copy.db'), leaderA)).ready()
  await requireSame(lab, leaderA, replica)
  await replica.stop()
  await refused(lab, await replicaArguments(replica.db, leaderB.address), 'WRONG_CLUSTER')
  await requireSame(lab, leaderA, await lab.restart(replica))
})

labTest('wrong, missing and readable secrets are refused', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db, { environment: { WALCAST_SECRET: SECRET } })
  const copy = lab.path('replica.db')
  await refused(lab, await replicaArguments(copy, leader.address), 'WRONG_SECRET')
  const wrong = { WALCAST_SECRET: 'another secret of some length' }
  // A stranger may answer there: it must not end the replica, which says why it copies nothing.
  const other = await lab.replica(copy, leader, { environment: wrong })
  await until('it says why', () => other.logged('PEER_UNPROVEN').length > 0)
  assert.match(other.logged('PEER_UNPROVEN')[0], /whether both sides have the same secret/)
  const { epoch, txid } = await other.status()
  assert.deepEqual([epoch, txid, (await other.get('/readyz')).status], [0, 0, 503])
  assert.equal((await leader.status()).replicas?.length, 0)
  await other.stop()
  await refused(lab, await leaderArguments(db), 'SECRET_UNREADABLE', {
    environment: { WALCAST_SECRET: 'short' },
  })
  const missing = { WALCAST_SECRET_FILE: lab.path('no-such-file') }
  await refused(lab, await leaderArguments(db), 'SECRET_UNREADABLE', { environment: missing })
  const both = { WALCAST_SECRET: SECRET, WALCAST_SECRET_FILE: lab.path('secret') }
  await refused(lab, await leaderArguments(db), 'SECRET_UNREADABLE', { environment: both })
  writeFileSync(lab.path('secret'), `${SECRET}\n`)
  chmodSync(lab.path('secret'), 0o644)
  const shared = { WALCAST_SECRET_FILE: lab.path('secret') }
  await refused(lab, await leaderArguments(db), 'SECRET_SHARED', { environment: shared })
  chmodSync(lab.path('secret'), 0o600)
  const replica = await lab.replica(copy, leader, {
    environment: { WALCAST_SECRET_FILE: lab.path('secret') },
  })
  await until('it connects', async () => (await replica.get('/readyz')).status === 200)
  await refused(lab, ['status', '--node', leader.address], 'UNAUTHORIZED')
})

labTest(
  'a replica refuses another protocol version, and keeps trying at a stranger',
  async (lab) => {
    const version = createServer()
    version.on('upgrade', (_request, socket) => {
      const body = JSON.stringify({
        code: 'WALCAST_PROTOCOL_VERSION',
        message: 'the leader speaks 9, this node walcast.1',
        cure: '',
      })
      socket.end(
        `HTTP/1.1 426 Refused\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n` +
          `${body}`,
      )
    })
    const port = await freePort()
    await new Promise<void>((resolve) => version.listen(port, '127.0.0.1', resolve))
    lab.atEnd(() => void version.close())
    await refused(
      lab,
      await replicaArguments(lab.path('a.db'), `127.0.0.1:${port}`),
      'PROTOCOL_VERSION',
    )

    const web = createServer((_request, response) => response.end('hello'))
    const webPort = await freePort()
    await new Promise<void>((resolve) => web.listen(webPort, '127.0.0.1', resolve))
    lab.atEnd(() => void web.close())
    const replica = await lab.replica(lab.path('b.db'), `127.0.0.1:${webPort}`)
    await until(
      'it keeps trying and says why',
      async () => (await replica.status()).lastError?.code === 'WALCAST_NODE_ANSWER',
    )
    assert.equal((await replica.get('/livez')).status, 200)
    assert.equal((await replica.get('/readyz')).status, 503)
  },
)

labTest('usage errors exit with 2 and name every problem', async (lab) => {
  const usage = (args: readonly string[]) => refused(lab, args, 'USAGE', { exit: 2 })
  assert.match(await usage(['leader']), /--db FILE/)
  const all = await usage([
    'replica',
    '--listen',
    'nowhere',
    '--max-staleness',
    'soon',
    '--max-waits',
    'many',
  ])
  for (const flag of ['--db', '--leader', '--listen', '--max-staleness', '--max-waits'])
    assert.ok(all.includes(flag), flag)
  assert.match(await usage(['nonsense']), /nonsense/)
  // The process ends here, which the other tests do not check.
  const problem = (args: readonly string[], environment: NodeJS.ProcessEnv, text: RegExp) =>
    assert.throws(
      () => nodeOptions('leader', args, environment),
      (error) => error instanceof WalcastError && error.key === 'USAGE' && text.test(error.line),
    )
  problem(['--db', 'x', '--no-such-flag'], {}, /no-such-flag/)
  problem(['--db', 'x', '--leader', '127.0.0.1:1'], {}, /--leader is not an option of a leader/)
  problem(['--db', 'x'], { WALCAST_HISTORY: 'huge' }, /--history/)
  const bare = lab.cli([])
  assert.equal((await bare.ended).code, 2)
  assert.deepEqual(bare.out, [], 'standard output is for data')
  for (const args of [
    ['--help'],
    ['leader', '--help'],
    ['replica', '--help', '--all'],
    ['status', '--help'],
    ['--version'],
  ]) {
    const help = lab.cli(args)
    assert.equal((await help.ended).code, 0)
    assert.ok(help.out.length > 0 && help.err.length === 0, args.join(' '))
  }
})

labTest('configuration files: values, precedence and errors', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const config = lab.path('config.toml')
  const port = await freePort()
  await refused(lab, ['leader', '--config', config], 'CONFIG_BAD')
  writeFileSync(config, 'db = [unclosed')
  await refused(lab, ['leader', '--config', config], 'CONFIG_BAD')
  writeFileSync(config, `db = "${db}"\nfrobnicate = 1\n`)
  assert.match(await refused(lab, ['leader', '--config', config], 'CONFIG_BAD'), /frobnicate/)
  writeFileSync(config, `db = "${db}"\nlisten = "127.0.0.1:1"\nname = "from-file"\n`)
  const environment = {
    WALCAST_CONFIG: config,
    WALCAST_LISTEN: '127.0.0.1:2',
    WALCAST_NAME: 'from-environment',
  }
  const node = lab.cli(['leader', '--listen', `127.0.0.1:${port}`], environment)
  await node.errorLine((line) => line.includes('"msg":"running"'))
  const answer = await fetch(`http://127.0.0.1:${port}/_walcast/status`)
  assert.equal(Object(await answer.json()).node, 'from-environment')
})

for (const how of ['replaced', 'deleted'] as const) {
  labTest(`the leader stops when its file is ${how}`, async (lab) => {
    const db = lab.path('leader.db')
    await makeDatabase(lab, db)
    if (how === 'replaced') await makeDatabase(lab, lab.path('new.db'))
    const leader = await lab.leader(db)
    const replica =
      how === 'replaced'
        ? await (await lab.replica(lab.path('replica.db'), leader)).ready()
        : undefined
    leader.child.expectEnd()
    if (how === 'replaced') renameSync(lab.path('new.db'), db)
    else rmSync(db)
    const { code } = await within('the leader ends', leader.child.ended)
    assert.equal(code, 1)
    assert.equal(
      leader.child.err.filter((line) => line.startsWith('WALCAST_DB_REPLACED: ')).length,
      1,
    )
    if (!replica) return
    assert.equal((await replica.get('/livez')).status, 200)
    assert.equal((await replica.get('/readyz')).status, 200, 'the copy is still there to be read')
  })
}

labTest('a replica on a full disk goes on when there is room', async (lab) => {
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const path = lab.path('replica.db')
  const port = await freePort()
  const flags = ['--reconnect-max', '100ms', '--replica-wal', '64KiB']
  const args = nodeArguments('replica', { db: path, port, leader: leader.address, flags })
  const child = lab.program('nodeFailing', { args })
  const replica = await lab.nodeOf('replica', { db: path, port }, child).ready()
  await requireSame(lab, leader, replica)
  const reader = new Reader(lab, { path })
  for (const op of ['wal.append', 'position.append', 'index.publish', 'wal.header'] as const) {
    const writer = new Writer(lab, 'node', {
      path: db,
      name: `w_${op.replace('.', '_')}`,
      seed: 61,
    })
    await writer.advance(20)
    // Another line is answered with the number of failures since.
    const isFull = { ops: [op], code: 'ENOSPC', times: Number.MAX_SAFE_INTEGER }
    await until(`${op} fails`, async () => (await tell(child, isFull)) > 0)
    await until(
      'it says so',
      async () => (await replica.status()).lastError?.code === 'WALCAST_DISK_FULL',
    )
    await writer.advance(20)
    reader.check()
    await tell(child, {})
    await writer.stop()
    await requireSame(lab, leader, replica)
  }
  await reader.stop()
  await child.stop()
})

/** Returns how many operations have failed since the last line. */
async function tell(child: Child, fault: object): Promise<number> {
  const from = child.out.length
  child.write(JSON.stringify(fault))
  const { text } = await child.line((line) => line.includes('"failed"'), from)
  return JSON.parse(text).failed
}

labTest('a replica survives a file system that really fills up', async (lab, t) => {
  const folder = lab.path('small')
  mkdirSync(folder)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder])
  if (mounted.status !== 0)
    return t.diagnostic('no right to mount: shown by the test before with failing writes only')
  lab.atEnd(() => void spawnSync('umount', ['-l', folder]))
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const leader = await lab.leader(db)
  const flags = ['--reconnect-max', '100ms', '--replica-wal', '64MiB']
  const replica = await (await lab.replica(`${folder}/replica.db`, leader, { flags })).ready()
  const reader = new Reader(lab, { path: replica.db })
  const writing = lab.sql(db)
  const large = numbers(
    600,
    'INSERT INTO mixed (grp, body) SELECT n, randomblob(6000) FROM numbers',
  )
  await writing.rows(large)
  await until(
    'it says so',
    async () => (await replica.status()).lastError?.code === 'WALCAST_DISK_FULL',
  )
  reader.check()
  assert.ok(existsSync(replica.db))
  assert.equal(spawnSync('mount', ['-o', 'remount,size=64m', folder]).status, 0)
  await requireSame(lab, leader, replica)
  await reader.stop()
  await replica.stop()
})

test('SQLite libraries that can lose pages are refused', () => {
  for (const version of ['3.7.0', '3.40.1', '3.44.5', '3.50.6', '3.51.0', '3.51.2', '3.45.9'])
    assert.throws(
      () => requireSafeLibrary(version),
      (error) => error instanceof WalcastError && error.key === 'SQLITE_TOO_OLD',
    )
  for (const version of ['3.44.6', '3.50.7', '3.50.8', '3.51.3', '3.52.0', '3.53.2', '4.0.0'])
    requireSafeLibrary(version)
})
