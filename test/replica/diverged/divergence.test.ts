/** Rows kept aside: bounds, full disks, damaged folders and crashes. */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import type { Logger } from 'pino'
import { keyOf } from '../../../src/errors.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { type FileOps, systemFileOps } from '../../../src/platform/fileOps.ts'
import { Divergence, type DivergenceOptions } from '../../../src/replica/diverged/divergence.ts'
import type { KeptDivergence } from '../../../src/replica/diverged/keptFolder.ts'
import { resyncOf } from '../../support/keptBundle.ts'
import { until } from '../../support/until.ts'

/** A bundle of an earlier version, with the whole database beside it. */
const ABOUT: Omit<KeptDivergence, 'kind'> = {
  format: 1,
  at: '2026-11-22T12:00:00.000Z',
  node: 'node-a',
  epoch: 1,
  txid: 7,
  checksum: '00000000000000aa',
  pageSize: 4096,
  pages: 2,
  leader: 'node-b',
  reason: 'a test',
  state: 'kept',
}

function makeTable(path: string, rows: readonly string[]): void {
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)')
  for (const row of rows) db.prepare('INSERT INTO t (body) VALUES (?)').run(row)
  db.close()
}

function setUp(t: TestContext, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-kept-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'copy.db')
  makeTable(path, ['one'])
  const kept = join(folder, 'state', 'diverged')
  for (const name of names) {
    mkdirSync(join(kept, name), { recursive: true })
    makeTable(join(kept, name, 'database.db'), ['one', `only in ${name}`])
    writeFileSync(join(kept, name, 'about.json'), JSON.stringify(ABOUT))
  }
  const lines: string[] = []
  const say = (fields: { readonly kept?: string }, text: string) =>
    void lines.push(`${fields.kept?.replace(/^.*\//, '') ?? ''} ${text}`)
  const log = { info: say, warn: say, error: say } as unknown as Logger
  const dropped: string[] = []
  const divergence = (ops: FileOps, bounds: Partial<DivergenceOptions> = {}) =>
    new Divergence({
      path,
      stateFolder: join(folder, 'state'),
      node: 'node-a',
      maxDiverged: 8,
      maxDivergedBytes: 1e9,
      onDropped: (kind) => void dropped.push(kind),
      ...bounds,
      ops,
      clock: systemClock,
      log,
    })
  return { folder, path, kept, lines, dropped, divergence }
}

test('a bundle whose state cannot be written is compared once, and delays no other', async (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  const ops: FileOps = {
    ...systemFileOps,
    replace: (path, content) =>
      path.includes('/a/') ? Promise.reject(new Error('no')) : systemFileOps.replace(path, content),
  }
  const kepts = divergence(ops)
  kepts.onLevel('00000000000000bb')
  await until('the other is compared', () =>
    lines.some((line) => line.startsWith('b listed the rows that the leader lacks')),
  )
  kepts.onLevel('00000000000000bb')
  assert.deepEqual(
    lines.filter((line) => line.startsWith('a ')),
    ['a could not compare the rows kept aside'],
  )
  assert.ok(existsSync(join(kept, 'b', 'rows.jsonl')))
  kepts.stop()
})

test('a removed bundle is forgotten; a stop ends a comparison', async (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  const kepts = divergence(systemFileOps)
  rmSync(join(kept, 'a'), { recursive: true })
  kepts.onLevel('00000000000000bb')
  assert.deepEqual(
    kepts.kept.map(({ name }) => name),
    ['b'],
  )
  kepts.stop()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(lines, [])
})

test('a damaged description is logged and stops nothing', (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  writeFileSync(join(kept, 'a', 'about.json'), '{ cut')
  mkdirSync(join(kept, 'c.partial'))
  assert.deepEqual(
    divergence(systemFileOps).kept.map(({ name }) => name),
    ['b'],
  )
  assert.equal(lines.length, 1)
  assert.ok(!existsSync(join(kept, 'c.partial')), 'what a crash left unfinished is gone')
})

/** Two states of a database: a row of `t` differs from the leader's state, which is at `path`. */
function makeStates(folder: string, path: string) {
  const before = join(folder, 'before.db')
  copyFileSync(path, before)
  const db = new Database(path)
  db.exec("UPDATE t SET body = 'two'; INSERT INTO t (body) VALUES ('more')")
  db.close()
  return resyncOf(before, path, join(folder, 'copy'))
}

const DIVERGED = { leader: 'node-b', reason: 'a test', kind: 'diverged' } as const
const ROUTINE = { ...DIVERGED, kind: 'routine' } as const

test('a compared routine bundle loses its images, a diverged one keeps them', async (t) => {
  for (const [cause, files] of [
    [ROUTINE, ['about.json', 'database.db', 'rows.jsonl']],
    [DIVERGED, ['about.json', 'database.db', 'pages.bin', 'pages.txt', 'rows.jsonl', 'trees.txt']],
  ] as const) {
    const { folder, path, kept, divergence } = setUp(t, [])
    const { copy, last, close } = makeStates(folder, path)
    const kepts = divergence(systemFileOps)
    await kepts.keep(copy, last, cause)
    // As after a crash before the resync published its state.
    await kepts.keep(copy, last, cause)
    assert.equal(kepts.kept.length, 1, 'one bundle for each state')
    close()
    kepts.onLevel('00000000000000bb')
    await until('it is compared', () => kepts.kept[0]?.about.state === 'compared')
    const [name] = readdirSync(kept)
    assert.deepEqual(readdirSync(join(kept, name)).sort(), files)
    const { about } = kepts.kept[0]
    assert.deepEqual([about.isComplete, about.rows], [true, { removed: 0, changed: 1, added: 0 }])
    assert.match(
      readFileSync(join(kept, name, 'rows.jsonl'), 'utf8'),
      /"before":{"id":1,"body":"one"}/,
    )
  }
})

test('a bundle of an earlier version counts as diverged, and goes like one', async (t) => {
  const { folder, path, kept, lines, dropped, divergence } = setUp(t, ['a', 'b'])
  const { copy, last, close } = makeStates(folder, path)
  const kepts = divergence(systemFileOps, { maxDiverged: 2 })
  await kepts.keep(copy, last, DIVERGED)
  close()
  assert.deepEqual(dropped, ['diverged'])
  assert.deepEqual(readdirSync(kept).sort()[1], 'b')
  assert.equal(
    lines.filter((line) => line.startsWith('a deleted a bundle kept aside, with commits')).length,
    1,
  )
  const small = divergence(systemFileOps, { maxDivergedBytes: 1 })
  const again = makeStates(folder, path)
  await small.keep(again.copy, again.last, DIVERGED)
  again.close()
  assert.equal(small.kept.length, 1)
  assert.ok(lines.some((line) => line.includes('alone over --max-diverged-bytes')))
})

test('on a full disk routine bundles make room; without any, nothing is overwritten', async (t) => {
  const { folder, path, kept, dropped, divergence } = setUp(t, ['a', 'b', 'c'])
  for (const name of ['b', 'c'])
    writeFileSync(join(kept, name, 'about.json'), JSON.stringify({ ...ABOUT, kind: 'routine' }))
  const { copy, last, close } = makeStates(folder, path)
  const full = (bundles: number): FileOps => ({
    ...systemFileOps,
    writeAside: (...args) =>
      readdirSync(kept).length > bundles + 1
        ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
        : systemFileOps.writeAside(...args),
  })
  await divergence(full(2)).keep(copy, last, DIVERGED)
  assert.deepEqual(
    [dropped, existsSync(join(kept, 'b')), existsSync(join(kept, 'c'))],
    [['routine'], false, true],
  )
  rmSync(join(kept, readdirSync(kept)[0]), { recursive: true })
  await assert.rejects(
    divergence(full(0)).keep(copy, last, DIVERGED),
    (error) => keyOf(error) === 'DIVERGED_UNKEPT',
  )
  assert.deepEqual(readdirSync(kept), ['a'])
  assert.deepEqual(dropped, ['routine', 'routine'])
  close()
})

test('a malformed leader state is logged, and makes the bundle a diverged one', async (t) => {
  const { path, kept, lines, divergence } = setUp(t, ['a'])
  writeFileSync(join(kept, 'a', 'about.json'), JSON.stringify({ ...ABOUT, kind: 'routine' }))
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 4096)
  writeFileSync(path, bytes)
  const kepts = divergence(systemFileOps)
  kepts.onLevel('00000000000000bb')
  await until('it was looked at', () => kepts.kept[0]?.about.state === 'not compared')
  const { kind, detail } = kepts.kept[0].about
  assert.equal(kind, 'diverged')
  assert.match(detail ?? '', /^WALCAST_DB_CORRUPT: .* does not read as a sound database/)
  assert.ok(
    lines.some((line) => line.startsWith("a the leader's database is malformed")),
    lines.join('\n'),
  )
})

test('only its owner can read a bundle', async (t) => {
  const { folder, path, kept, divergence } = setUp(t, [])
  const { copy, last, close } = makeStates(folder, path)
  const kepts = divergence(systemFileOps)
  await kepts.keep(copy, last, DIVERGED)
  close()
  kepts.onLevel('00000000000000bb')
  await until('it is compared', () => kepts.kept[0]?.about.state === 'compared')
  const [name] = readdirSync(kept)
  const modes = readdirSync(join(kept, name)).map(
    (file) => statSync(join(kept, name, file)).mode & 0o777,
  )
  assert.deepEqual(new Set(modes), new Set([0o600]))
})
