/** What a query on a past state answers is what the database answered then. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { formatArchiveName } from '../../../proto/archiveNames.ts'
import { PastArchive } from '../../../src/backup/past/pastArchive.ts'
import { PastDatabase } from '../../../src/backup/past/pastDatabase.ts'
import { pastHistory } from '../../../src/backup/past/pastHistory.ts'
import type { PastPages } from '../../../src/backup/past/pastPages.ts'
import { PastQuery } from '../../../src/backup/past/pastQuery.ts'
import { FREE, SCHEMA, UNKNOWN } from '../../../src/backup/past/tableOwners.ts'
import { loadLibrary } from '../../../src/backup/past/wasmLibrary.ts'
import { namePoint } from '../../../src/backup/retention/namedPoints.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { keyOf } from '../../../src/errors.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { decoderOf, type SqlValue } from '../../../src/rowdiff/rowValues.ts'
import {
  archiveOf,
  changed,
  FIRST,
  fileOf,
  ONE,
  type State,
  statesOf,
  storeArchive,
  TWO,
} from '../../support/archives.ts'
import { BEGIN_MS, EVERY_MS, storePast } from '../../support/pastArchives.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-past-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let made = 0

async function ask(pages: PastPages, sql: string, timeoutMs = 60_000): Promise<SqlValue[][]> {
  const asked = new PastQuery()
  const found: SqlValue[][] = []
  const decode = decoderOf('UTF-8')
  try {
    await asked.run(
      pages,
      sql,
      {
        columns: () => {},
        rows: async (rows) => {
          found.push(...rows.map((row) => row.map(decode)))
          return true
        },
      },
      { timeoutMs },
    )
  } finally {
    await asked.stop()
  }
  return found
}

/** A state without an archive and a thread. */
async function databaseOf(bytes: Buffer, pageSize: number): Promise<PastDatabase> {
  return PastDatabase.open(await loadLibrary(), {
    pageSize,
    pages: bytes.length / pageSize,
    read: (page) => bytes.subarray((page - 1) * pageSize, page * pageSize),
  })
}

function answerOf({ bytes }: State, sql: string): unknown[][] {
  const path = join(folder, `state-${++made}.db`)
  writeFileSync(path, bytes)
  const db = new Database(path)
  const rows = db.prepare<[], unknown[]>(sql).raw().safeIntegers().all()
  db.close()
  return rows
}

const newStore = () => new DirectoryStore(join(folder, `archive-${++made}`), systemFileOps)
const newSource = () => join(folder, `source-${++made}.db`)
const at = (archive: PastArchive, txid: number) => archive.find({ kind: 'txid', txid })

for (const pageSize of [512, 65536])
  test(`every state answers as it did, pages of ${pageSize} bytes`, async () => {
    const states = statesOf(newSource(), pageSize)
    const store = newStore()
    await storeArchive(store, states, pageSize)
    const archive = await PastArchive.open(store)
    for (const [i, state] of states.entries()) {
      const pages = await archive.pages(await at(archive, state.txid))
      await pages.prove()
      // A thread for each query is costly.
      if (i % 4 !== 3) continue
      const sql = 'SELECT count(*), total(length(b)), hex(min(b)), hex(max(b)) FROM a WHERE b > 0'
      assert.deepEqual(await ask(pages, sql), answerOf(state, sql), `txid ${state.txid}`)
    }
    const newest = await archive.find({ kind: 'newest' })
    const last = states[states.length - 1]
    assert.deepEqual([newest.position.txid, newest.position.incarnation], [last.txid, TWO])
    assert.deepEqual(await ask(await archive.pages(newest), 'PRAGMA integrity_check'), [['ok']])
    await archive.close()
  })

test('a query that writes, fails, hangs or is none is refused in one line', async () => {
  const store = newStore()
  const states = await storePast(store, newSource(), [
    "CREATE TABLE a (x); INSERT INTO a VALUES (x'00ff')",
  ])
  const archive = await PastArchive.open(store)
  const found = await archive.find({ kind: 'newest' })
  const db = await databaseOf(states[0].bytes, 4096)
  for (const [sql, reason] of [
    ['DELETE FROM a', /read-only/],
    ['CREATE TEMP TABLE t (x)', /read-only/],
    ['SELECT 1; SELECT 2', /one statement/],
    [' -- nothing', /empty/],
    ['SELECT x FROM', /incomplete input/],
    ["ATTACH '/etc/passwd' AS p", /unable to open/],
  ] as const)
    assert.throws(() => [...db.query(sql).rows()], reason, sql)
  const pages = await archive.pages(found)
  await assert.rejects(
    ask(pages, 'SELECT y FROM a'),
    (error: Error) => keyOf(error) === 'QUERY_FAILED' && /no such column: y/.test(error.message),
  )
  const endless =
    'WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT 1 FROM s) SELECT sum(n) FROM s'
  await assert.rejects(ask(pages, endless, 300), /took longer than 0.3 s/)
  assert.deepEqual(await ask(pages, 'SELECT x, typeof(x) FROM a;  '), [
    [{ type: 'blob', hex: '00ff' }, 'blob'],
  ])
})

test('a database in UTF-16 is refused, and not taken for damaged', async () => {
  const path = newSource()
  const made = new Database(path)
  made.pragma("encoding = 'UTF-16le'")
  made.exec('CREATE TABLE a (x)')
  made.close()
  const bytes = readFileSync(path)
  const pages = { read: async () => bytes.subarray(0, 4096), pageSize: 4096, pages: 2 }
  await assert.rejects(ask(pages as unknown as PastPages, 'SELECT 1'), /in UTF-16: use --open/)
})

test('a changed block is never answered from', async () => {
  const store = newStore()
  const steps = [
    'CREATE TABLE a (x); INSERT INTO a SELECT randomblob(4000) FROM generate',
    'UPDATE a SET x = randomblob(4000)',
  ]
  await storePast(store, newSource(), steps)
  const [{ name }] = await store.list('changes/0')
  const path = join(store.name, name)
  const bytes = readFileSync(path)
  bytes[2000] ^= 1
  writeFileSync(path, bytes)
  const archive = await PastArchive.open(store)
  const sum = 'SELECT total(length(x)) FROM a'
  const [first, second] = [await at(archive, FIRST), await at(archive, FIRST + 1)]
  assert.deepEqual(await ask(await archive.pages(first), sum), [[240000]])
  await assert.rejects(
    async () => ask(await archive.pages(second), sum),
    (error) => keyOf(error) === 'ARCHIVE_BROKEN',
  )
})

test('a transaction of several files is read from all of them, the later part wins', async () => {
  const pageSize = 512
  const states = statesOf(newSource(), pageSize)
  const [one, two] = states
  const store = newStore()
  const [snapshot] = await archiveOf(states, pageSize)
  const images = changed(one, two, pageSize)
  const stale = { number: images[5].number, bytes: Buffer.alloc(pageSize) }
  const about = { fromTxid: one.txid, fromChecksum: one.checksum }
  const open = { ...two, checksum: '0000000000000000' }
  const begun = await fileOf(pageSize, {
    about,
    points: [[open, [...images.slice(0, 5), stale]]],
    isOpen: true,
  })
  const ended = await fileOf(pageSize, { about, points: [[two, images.slice(5)]], continues: true })
  const [from, to] = [one, two].map(({ txid }) => ({ incarnation: ONE, txid }))
  const names = [
    { kind: 'snapshot', ...from, part: 1, isLast: true },
    { kind: 'changes', level: 0, from, to, part: 1, isLast: false },
    { kind: 'changes', level: 0, from, to, part: 2, isLast: true },
  ] as const
  for (const [i, bytes] of [snapshot, begun, ended].entries())
    await store.create(formatArchiveName(names[i]), (append) => append(bytes))
  const archive = await PastArchive.open(store)
  const found = await archive.find({ kind: 'newest' })
  assert.equal(found.position.txid, two.txid)
  await (await archive.pages(found)).prove()
  const options = { sinceMs: 0, untilMs: Infinity, limit: 9, hasTables: true }
  const history = []
  for await (const entry of pastHistory(archive, options)) history.push(entry)
  assert.deepEqual(
    history.map(({ position, changed: count }) => [position.txid, count]),
    [
      [one.txid, one.bytes.length / pageSize],
      [two.txid, images.length],
    ],
  )
})

test('a moment means the last position at or before it', async () => {
  const store = newStore()
  const steps = [
    'CREATE TABLE a (x)',
    ...Array.from({ length: 9 }, () => 'INSERT INTO a VALUES (1)'),
  ]
  await storePast(store, newSource(), steps)
  const archive = await PastArchive.open(store)
  const txidAt = async (atMs: number) => (await archive.find({ kind: 'time', atMs })).position.txid
  for (let i = 0; i < steps.length; i++) {
    const timeMs = BEGIN_MS + i * EVERY_MS
    assert.deepEqual(
      [await txidAt(timeMs), await txidAt(timeMs + EVERY_MS - 1)],
      [FIRST + i, FIRST + i],
    )
    const found = await archive.find({ kind: 'position', epoch: 3, txid: FIRST + i })
    assert.equal((await archive.before(found))?.position.txid, i === 0 ? undefined : FIRST + i - 1)
  }
  for (const moment of [
    { kind: 'time', atMs: BEGIN_MS - 1 },
    { kind: 'txid', txid: FIRST - 1 },
    { kind: 'txid', txid: FIRST + steps.length },
    { kind: 'position', epoch: 2, txid: FIRST },
  ] as const)
    await assert.rejects(archive.find(moment), (error) => keyOf(error) === 'MOMENT_MISSING')
})

test('a name means the position that it was given to', async () => {
  const store = newStore()
  await storePast(store, newSource(), ['CREATE TABLE a (x)', 'INSERT INTO a VALUES (1)'])
  const point = { incarnation: ONE, txid: FIRST, namedMs: 1 }
  await namePoint(store, { ...point, name: 'before' })
  await namePoint(store, { ...point, name: 'other', incarnation: TWO })
  await namePoint(store, { ...point, name: 'gone', txid: FIRST + 9 })
  const archive = await PastArchive.open(store)
  const { position } = await archive.find({ kind: 'named', name: 'before' })
  assert.deepEqual([position.incarnation, position.txid], [ONE, FIRST])
  for (const [name, key] of [
    ['after', 'POSITION_NOT_ARCHIVED'],
    ['other', 'MOMENT_MISSING'],
    ['gone', 'MOMENT_MISSING'],
  ] as const)
    await assert.rejects(archive.find({ kind: 'named', name }), (error) => keyOf(error) === key)
})

/** Page numbers of each state by table, as SQLite itself counts them. */
const OWNERS = `SELECT pageno, coalesce(s.tbl_name, d.name) FROM dbstat AS d
  LEFT JOIN sqlite_schema AS s ON s.name = d.name`

test('history tells the tables of every changed page as SQLite does', async () => {
  const store = newStore()
  const long = (seed: number) => `replace(hex(zeroblob(1000)), '00', '${seed}' || n)`
  const steps = [
    'CREATE TABLE a (id INTEGER PRIMARY KEY, x); CREATE INDEX a_x ON a (x);' +
      'CREATE TABLE b (k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE c (v)',
    `INSERT INTO a (x) SELECT 'x' || n FROM generate; INSERT INTO b SELECT n, n FROM generate`,
    `INSERT INTO c SELECT ${long(1)} FROM generate`,
    `UPDATE a SET x = x || 'y' WHERE id % 9 = 0`,
    // The same length: only overflow pages change.
    `UPDATE c SET v = substr(v, 1, 1500) || 'Z' || substr(v, 1502) WHERE rowid = 7`,
    `INSERT INTO b SELECT 'k' || n, ${long(2)} FROM generate`,
    'DELETE FROM c WHERE rowid > 20',
    `INSERT INTO a (x) SELECT ${long(3)} FROM generate`,
    'DROP TABLE b; CREATE TABLE d AS SELECT * FROM a',
    'DELETE FROM a; DELETE FROM d WHERE id % 2',
    'VACUUM',
  ]
  const states = await storePast(store, newSource(), steps, { pageSize: 512 })
  const archive = await PastArchive.open(store)
  const options = { sinceMs: 0, untilMs: Infinity, limit: 1000, hasTables: true }
  let at = 0
  for await (const { position, tables, changed: count } of pastHistory(archive, options)) {
    assert.equal(position.txid, states[at].txid)
    const db = await databaseOf(states[at].bytes, 512)
    const owners = new Map(
      [...db.query(OWNERS).rows()].map(([page, name]) => [Number(page), String(name)]),
    )
    const before = at === 0 ? undefined : states[at - 1].bytes
    const now = states[at].bytes
    const counts = new Map<string, number>()
    for (let page = 2; page <= now.length / 512; page++) {
      const image = (bytes: Buffer) => bytes.subarray((page - 1) * 512, page * 512)
      if (before && image(before).equals(image(now))) continue
      const name = owners.get(page) ?? FREE
      const shown = name === 'sqlite_schema' ? SCHEMA : name
      counts.set(shown, (counts.get(shown) ?? 0) + 1)
    }
    assert.ok(count > 0 && !tables?.has(UNKNOWN))
    const found = [...(tables ?? [])].map(
      ([name, pages]) =>
        // The first page may count for the schema.
        [name, name === SCHEMA ? Math.max(pages - 1, counts.get(SCHEMA) ?? 0) : pages] as const,
    )
    const without = (all: readonly (readonly [string, number])[]) =>
      all.filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : 1))
    assert.deepEqual(without(found), without([...counts]), `txid ${position.txid}`)
    at++
  }
  assert.equal(at, states.length)
  // Alone: nothing before has told of its overflow pages.
  const untilMs = BEGIN_MS + 4 * EVERY_MS
  for await (const { tables } of pastHistory(archive, { ...options, untilMs, limit: 1 }))
    assert.deepEqual([...(tables?.keys() ?? [])], ['c'])
})
