/** Commands read the archive of a node, by whatever names the node. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { OBJECT_PATH, OBJECTS_PATH } from '../../src/api/archiveObjects.ts'
import { archived } from '../support/archiving.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }

async function walcast(
  lab: Lab,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = SECRET,
) {
  const child = lab.cli(args, { TZ: 'UTC', ...environment })
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

async function done(lab: Lab, args: readonly string[], environment = {}): Promise<string> {
  const { code, out, err } = await walcast(lab, args, environment)
  assert.equal(code, 0, `${args.join(' ')}\n${out}\n${err}`)
  return out
}

labTest('an archive is listed, named in, asked and restored through its node', async (lab) => {
  const db = lab.path('leader.db')
  const place = lab.path('archive')
  await lab.exec(db, 'PRAGMA journal_mode = wal', 'CREATE TABLE a (b)', 'INSERT INTO a VALUES (1)')
  const flags = ['--backup', place, '--backup-every', '100ms']
  const leader = await (await lab.leader(db, { flags, environment: SECRET })).ready()
  const first = await archived(leader)
  const named = ['backups', 'name', 'before', '--from', leader.address, '--txid']
  const given = await done(lab, [...named, String(first.txid)], SECRET)
  assert.match(given, new RegExp(`^named before: \\d+-${first.txid} of `))
  await lab.exec(db, 'UPDATE a SET b = 2')
  await lab.exec(db, 'INSERT INTO a SELECT randomblob(100000) FROM a')
  const last = await archived(leader)
  const made = ['token', 'create', '--role', 'operate', '--db', db]
  const token = (await done(lab, made)).trim()
  const weak = (await done(lab, [...made.slice(0, 3), 'read', ...made.slice(4)])).trim()

  const shown = JSON.parse(
    await done(lab, ['backups', '--from', leader.url, '--verify', '--json'], {
      WALCAST_TOKEN: token,
    }),
  )
  assert.equal(shown.place, leader.url)
  assert.deepEqual(shown.bad, [])
  assert.equal(shown.histories[0].restorableUntil.txid, last.txid)
  assert.deepEqual(
    [shown.named[0].name, shown.named[0].txid, shown.named.length],
    ['before', first.txid, 1],
  )

  const to = lab.path('restored.db')
  const restored = await done(lab, ['restore', '--from', leader.url, '--to', to], SECRET)
  assert.ok(restored.includes(`state checksum ${last.checksum}, as archived`), restored)
  // Nothing is kept pinned after it, but for what got a name.
  assert.equal(readdirSync(join(place, 'pins')).length, 1)
  const local = ['--from', db, '--to', lab.path('named.db'), '--point', 'before']
  const before = await done(lab, ['restore', ...local])
  assert.ok(before.includes(`state checksum ${first.checksum}, as archived`), before)
  const rows = await done(lab, [
    ...['at', String(first.txid), 'SELECT b FROM a', '--from', `${db}-walcast`, '--csv'],
  ])
  assert.deepEqual(rows.split('\n'), ['b', '1'])
  // A name stands for its position wherever one is wanted.
  const source = ['--from', leader.url]
  assert.equal(
    await done(lab, ['at', 'before', 'SELECT b FROM a', ...source, '--csv'], SECRET),
    'b\n1',
  )
  const since = await done(lab, ['history', '--since', 'before', ...source, '--json'], SECRET)
  assert.equal(JSON.parse(since.split('\n')[0]).txid, first.txid)
  const differ = ['diff', '--archive', leader.url, '--from', 'before', '--json', '--exit-zero']
  assert.match(
    await done(lab, differ, SECRET),
    /^\{"table":"a","kind":"changed","key":\{"rowid":1\}/,
  )
  const back = await done(lab, ['undo', '--since', 'before', ...source], SECRET)
  assert.match(back, /up to/)
  const single = await walcast(lab, ['undo', 'before', ...source])
  assert.equal(single.code, 2)
  assert.match(single.err, /^WALCAST_USAGE: before is the name of a state.*--since before/)
  const id = (await leader.status()).node
  const history = await done(lab, ['history', '--from', id, '--json'], { WALCAST_DB: db })
  assert.equal(JSON.parse(history.split('\n').at(-1) ?? '').txid, last.txid)

  const audit = await done(lab, ['audit', '--json'], { WALCAST_DB: db })
  const readers = audit
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ action }: { readonly action: string }) => action === 'archive-read')
    .map(({ by }: { readonly by: string }) => by.replace(/^token \w+/, 'token'))
  assert.deepEqual(readers.sort(), ['127.0.0.1', 'this machine', 'token, 127.0.0.1'])

  const from = ['backups', '--from', leader.url]
  for (const [environment, pattern] of [
    [{}, /^WALCAST_UNAUTHORIZED: /],
    [{ WALCAST_TOKEN: weak }, /^WALCAST_TOKEN_TOO_WEAK: .*wants operate/],
    [{ WALCAST_TOKEN: `${token.slice(0, -4)}aaaa` }, /^WALCAST_/],
    [{ WALCAST_SECRET: 'another secret of sixteen characters' }, /^WALCAST_PEER_UNPROVEN: /],
  ] as const) {
    const { code, out, err } = await walcast(lab, from, environment)
    assert.deepEqual([code, out], [1, ''], err)
    assert.match(err, pattern)
  }
  const [file] = readdirSync(join(place, 'snapshots'))
  for (const path of [
    `${OBJECTS_PATH}?folder=snapshots`,
    `${OBJECT_PATH}?name=snapshots/${file}`,
    `${OBJECT_PATH}?name=nothing`,
  ])
    for (const headers of [{}, { authorization: `Bearer ${weak}` }]) {
      const { status, text } = await leader.get(path, headers)
      assert.ok(status === 401 || status === 403, text)
      assert.ok(!text.includes(place))
    }

  // Over plain text nobody on the way changes what a restore goes by.
  const proxy = await TcpProxy.start(leader.options.port)
  lab.atEnd(() => proxy.close())
  const tampered = lab.path('tampered.db')
  const through = ['restore', '--from', proxy.address, '--to', tampered, '--no-integrity-check']
  for (const tamper of [
    (text: string) => text.replace('"isMore":false', '"isMore":true '),
    (text: string) => text.replace(/(octet-stream.*).$/s, '$1!'),
  ]) {
    proxy.tamper = (bytes, fromNode) =>
      fromNode ? Buffer.from(tamper(bytes.toString('latin1')), 'latin1') : bytes
    const { code, err } = await walcast(lab, through)
    assert.equal(code, 1)
    assert.match(err, /^WALCAST_PEER_UNPROVEN: .*not the answer that a node .*over TLS/)
    assert.equal(existsSync(tampered), false)
  }

  const gone = await done(lab, ['backups', 'forget', 'before', '--from', db])
  assert.equal(gone.trim(), 'forgot the name before')
  assert.deepEqual(readdirSync(join(place, 'points')), [])
  const own = await done(lab, ['audit', '--json', '--limit', '200'], { WALCAST_DB: db })
  const noted = own
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ action }: { readonly action: string }) => action === 'point')
    .map(({ by, detail }) => `${by} ${detail}`)
  assert.equal(noted.length, 2)
  assert.match(noted[0], /^\w+@[\w-]+ \(127\.0\.0\.1\) sets before: txid \d+, place 1 of --backup$/)
  assert.match(noted[1], /^\w+@[\w-]+ \(this machine\) removes before, place 1 of --backup$/)
  const second = await walcast(lab, ['backups', '--from', `${leader.url}/?place=2`])
  assert.match(second.err, /^WALCAST_NODE_ARCHIVE: .*no place 2.*--backup PLACE/)
})
