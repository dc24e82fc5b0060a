/** `walcast settings` as a process: values in and out, what it refuses, and on a replica. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { type Kek, keyring, newKek } from '../../src/security/keyring.ts'
import { settings } from '../../src/settings/settings.ts'
import { labTest, waitLevel } from '../support/lab.ts'
import { CLI } from '../support/paths.ts'
import { until } from '../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-settings-cli-'))
after(() => rmSync(root, { recursive: true, force: true }))
let made = 0

interface Input {
  readonly input?: string | Buffer
}

function newDatabase(keks: readonly Kek[] = [newKek()]) {
  const path = join(root, `${++made}.db`)
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.exec('CREATE TABLE t (v)')
  db.close()
  writeKeys(path, keks)
  return path
}

function writeKeys(path: string, keks: readonly Kek[]): void {
  mkdirSync(`${path}-walcast/keys`, { recursive: true, mode: 0o700 })
  writeFileSync(`${path}-walcast/keys/cluster.json`, JSON.stringify({ keks }), { mode: 0o600 })
}

function run(path: string, args: readonly string[], { input = '' }: Input = {}) {
  const given = [CLI, 'settings', '--db', path, ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, given, { input })
  return { code: status, stdout, stderr: stderr.toString() }
}

function ok(path: string, args: readonly string[], given: Input = {}): Buffer {
  const { code, stdout, stderr } = run(path, args, given)
  assert.deepEqual([code, stderr], [0, ''], args.join(' '))
  return stdout
}

function fails(path: string, args: readonly string[], line: RegExp, given: Input = {}): void {
  const { code, stdout, stderr } = run(path, args, given)
  assert.match(stderr, line)
  assert.equal(stderr.trim().split('\n').length, 1)
  assert.deepEqual([code, stdout.length], [/USAGE/.test(stderr) ? 2 : 1, 0], stderr)
}

test('text, JSON and bytes go in and come out, plain and encrypted', () => {
  const path = newDatabase()
  ok(path, ['set', 'plain', 'hello'])
  ok(path, ['set', 'negative', '--', '-1'])
  ok(path, ['set', 'json', '{"a": [1]}', '--type', 'json'])
  const bytes = Buffer.from([0, 10, 255, 10])
  ok(path, ['set', 'bytes', '-', '--type', 'bytes', '--encrypt'], { input: bytes })
  ok(path, ['set', 'secret', '-', '--encrypt'], { input: 'two\nlines\n' })
  assert.equal(ok(path, ['get', 'plain']).toString(), 'hello\n')
  assert.equal(ok(path, ['get', 'negative']).toString(), '-1\n')
  assert.equal(ok(path, ['get', 'json']).toString(), '{"a":[1]}\n')
  assert.deepEqual(ok(path, ['get', 'bytes']), bytes)
  assert.equal(ok(path, ['get', 'secret']).toString(), 'two\nlines\n')
  const shown = (name: string) => JSON.parse(ok(path, ['get', name, '--json']).toString())
  assert.deepEqual(shown('json'), { name: 'json', type: 'json', value: { a: [1] } })
  assert.deepEqual(shown('bytes'), { name: 'bytes', type: 'bytes', value: 'AAr/Cg==' })
  const listed = ok(path, ['list', '--wide']).toString()
  assert.match(listed, /^name +type +bytes +data key +key-encryption key +changed\n/)
  assert.match(listed, /^secret +text +9 +[0-9a-f]{32} +kek-[0-9a-f]{12} +2/m)
  assert.match(listed, /^plain +text +5 +plain +2/m)
  assert.doesNotMatch(listed, /hello|lines/)
  const infos = JSON.parse(ok(path, ['list', '--json']).toString())
  assert.deepEqual(
    infos.map(({ name, encrypted }: { name: string; encrypted: boolean }) => [name, encrypted]),
    [
      ['bytes', true],
      ['json', false],
      ['negative', false],
      ['plain', false],
      ['secret', true],
    ],
  )
  assert.equal(ok(path, ['delete', 'plain']).toString(), 'deleted plain\n')
  for (const command of ['get', 'delete'])
    fails(path, [command, 'plain'], /^WALCAST_SETTING_MISSING: .*"plain".*; .*settings list/)
})

test('what is encrypted does not become plain by a forgotten flag', () => {
  const path = newDatabase()
  ok(path, ['set', 'secret', '-', '--encrypt'], { input: 'x' })
  const line = /WALCAST_USAGE: secret is encrypted: give --encrypt, or delete it first/
  fails(path, ['set', 'secret', 'y'], line)
  fails(path, ['import', '-'], line, { input: '{"a": 1, "secret": 2}' })
  assert.equal(ok(path, ['get', 'secret']).toString(), 'x\n')
  ok(path, ['delete', 'secret'])
  ok(path, ['set', 'secret', 'y'])
})

test('import writes all settings of a file or none', () => {
  const path = newDatabase()
  const file = join(root, 'import.json')
  writeFileSync(file, '{"a": "text", "b": {"c": 1}, "d": null}')
  assert.equal(ok(path, ['import', file, '--encrypt']).toString(), 'set 3 settings\n')
  const db = new Database(path)
  const store = settings(db, keyring(path))
  assert.deepEqual([store.get('a'), store.get('b'), store.get('d')], ['text', { c: 1 }, null])
  assert.ok(store.list().every(({ encrypted }) => encrypted))
  ok(path, ['import', '-', '--table', 'other'], { input: '{"only": "here"}' })
  assert.equal(ok(path, ['get', 'only', '--table', 'other']).toString(), 'here\n')
  fails(path, ['import', '-'], /WALCAST_SETTING_REFUSED/, { input: '{"e": 1, "f\\n": 2}' })
  assert.equal(store.get('e'), undefined)
  for (const input of ['', '[]', '7', '{', '\xff'])
    fails(path, ['import', '-'], /WALCAST_USAGE/, { input: Buffer.from(input, 'latin1') })
  fails(path, ['import', join(root, 'none.json')], /WALCAST_USAGE: cannot read/)
  db.close()
})

test('rotate moves data keys to a new key-encryption key, and values to a new data key', () => {
  const old = { ...newKek(), createdAt: 1000 }
  const path = newDatabase([old])
  ok(path, ['set', 'a', '-', '--encrypt'], { input: 'x' })
  const next = newKek()
  writeKeys(path, [old, next])
  const rotated = (args: readonly string[]) => JSON.parse(ok(path, [...args, '--json']).toString())
  assert.deepEqual(rotated(['rotate']), { dataKeys: 1, values: 0 })
  assert.deepEqual(rotated(['rotate', '--values']), { dataKeys: 0, values: 1 })
  writeKeys(path, [next])
  assert.equal(ok(path, ['get', 'a']).toString(), 'x\n')
})

test('a secret on the command line is refused, and so is whatever is no setting', () => {
  const path = newDatabase()
  fails(path, ['set', 'a', 'secret', '--encrypt'], /WALCAST_USAGE: .*command line.*set a - --enc/)
  fails(path, ['set', 'a'], /WALCAST_USAGE: .*- to read the value from standard input/)
  fails(path, ['set', 'a', '-', '--encrypt', '--type', 'x'], /WALCAST_USAGE: --type wants/)
  fails(path, ['set', 'a', '{', '--type', 'json'], /WALCAST_USAGE: the value is not JSON/)
  fails(path, ['set', 'a', '-'], /not UTF-8/, { input: Buffer.from([0xff]) })
  fails(path, ['set', 'a\nb', 'x'], /WALCAST_SETTING_REFUSED: .*"a b".*control character/)
  fails(path, ['set', 'a', 'x'.repeat(65_537)], /WALCAST_SETTING_REFUSED: .*65537 bytes/)
  fails(path, ['set', 'a', 'x', '--table', 'A'], /WALCAST_BAD_REQUEST/)
  fails(path, ['gte', 'a'], /WALCAST_USAGE: .*did you mean get/)
  fails(path, ['get'], /WALCAST_USAGE: settings get: it takes one name/)
  fails(path, ['get', 'a', '--encrypt'], /WALCAST_USAGE: settings get takes no --encrypt/)
  fails(path, [], /WALCAST_USAGE: settings takes one of get, set/)
  fails(join(root, 'none.db'), ['list'], /WALCAST_DB_MISSING/)
  assert.equal(ok(path, ['list']).toString(), 'no settings\n')
  writeFileSync(join(root, 'text.db'), 'no database, and long enough to be none'.repeat(40))
  fails(join(root, 'text.db'), ['list'], /WALCAST_DB_NOT_SQLITE/)
  const help = spawnSync(process.execPath, [CLI, 'settings', '--help'], { encoding: 'utf8' })
  assert.match(help.stdout, /^walcast settings get NAME\n/)
  assert.ok(help.stdout.split('\n').every((line) => line.length <= 100))
})

test('keys that others can read, or that are missing, are named', () => {
  const path = newDatabase([])
  fails(path, ['set', 'a', '-', '--encrypt'], /WALCAST_NO_ENCRYPTION_KEY: .*cluster\.json/, {
    input: 'x',
  })
  ok(path, ['set', 'plain', 'x'])
  writeFileSync(`${path}-walcast/keys/cluster.json`, '{}')
  spawnSync('chmod', ['0644', `${path}-walcast/keys/cluster.json`])
  fails(path, ['set', 'a', '-', '--encrypt'], /WALCAST_SECRET_SHARED/, { input: 'x' })
  assert.equal(ok(path, ['get', 'plain']).toString(), 'x\n', 'plain settings need no keys')
})

labTest('at a terminal it asks, and does not show what is typed', async (lab) => {
  const path = newDatabase()
  const ask = async (typed: readonly string[]) => {
    const argv = [process.execPath, CLI, 'settings', 'set', 'secret', '--encrypt', '--db', path]
    const child = lab.python('terminal', { argv, typed })
    child.expectEnd()
    await child.ended
    return JSON.parse(child.out.join('')) as { readonly code: number; readonly shown: string }
  }
  const good = await ask(['hunteR\x7fr2ü\r', 'hunter2ü\r'])
  assert.equal(good.code, 0, good.shown)
  assert.match(good.shown, /secret: \r?\nagain: \r?\nset secret \(9 bytes, encrypted\)/)
  assert.equal(ok(path, ['get', 'secret']).toString(), 'hunter2ü\n')
  const differing = await ask(['one\r', 'other\r'])
  assert.equal(differing.code, 2)
  assert.match(differing.shown, /WALCAST_USAGE: the two are not the same/)
  assert.doesNotMatch(differing.shown, /one|other\r/)
  const left = await ask(['half\x03'])
  assert.equal(left.code, -2, 'ended by SIGINT')
  assert.equal(ok(path, ['get', 'secret']).toString(), 'hunter2ü\n')
})

labTest('on a replica reading works, and writing says where the leader is', async (lab) => {
  const [a, b] = [lab.path('a.db'), lab.path('b.db')]
  cpSync(newDatabase(), a)
  const environment = { WALCAST_SECRET: 'a secret of enough letters' }
  const leader = await lab.leader(a, { environment })
  await until('it has made a key', async () => keyring(a).latest() !== undefined)
  ok(a, ['set', 'secret', '-', '--encrypt'], { input: 'x' })
  const replica = await lab.replica(b, leader, { environment })
  await waitLevel(leader, replica)
  await until('it has been told the key', async () => keyring(b).latest() !== undefined)
  assert.equal(ok(b, ['get', 'secret']).toString(), 'x\n')
  ok(a, ['set', 'secret', '-', '--encrypt'], { input: 'y' })
  await waitLevel(leader, replica)
  assert.equal(ok(b, ['get', 'secret']).toString(), 'y\n')
  const line = new RegExp(`WALCAST_SETTING_ON_REPLICA: .*b\\.db.*${leader.address}`)
  const writes = [
    ['set', 'a', 'x'],
    ['set', 'a', '-'],
    ['delete', 'secret'],
    ['import', '-'],
    ['rotate'],
  ]
  for (const args of writes) fails(b, args, line)
  await replica.stop()
  fails(b, ['set', 'a', 'x'], line)
  const { epoch } = await leader.status()
  await leader.stop()
  for (const path of [a, b])
    assert.equal(ok(path, ['get', 'secret']).toString(), 'y\n', 'also while no node runs')
  const again = await lab.restart(leader)
  await waitLevel(again, await lab.restart(replica))
  assert.equal((await again.status()).epoch, epoch, 'who only reads changes nothing')
})
