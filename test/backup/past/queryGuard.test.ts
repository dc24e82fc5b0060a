/** What a query from elsewhere may do to SQLite: read, and not too much at once. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { BoundedRows } from '../../../src/backup/past/boundedRows.ts'
import { PastDatabase } from '../../../src/backup/past/pastDatabase.ts'
import { guard } from '../../../src/backup/past/queryGuard.ts'
import { loadLibrary } from '../../../src/backup/past/wasmLibrary.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-guard-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function guarded(): Promise<(sql: string) => unknown[][]> {
  const path = join(folder, 'a.db')
  const made = new Database(path)
  made.exec(`CREATE TABLE IF NOT EXISTS a (x, y); INSERT INTO a VALUES (1, 'one');
    CREATE INDEX IF NOT EXISTS i ON a (y);
    CREATE VIEW IF NOT EXISTS v AS SELECT y FROM a;
    CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5 (body); INSERT INTO f VALUES ('some words')`)
  made.close()
  const bytes = readFileSync(path)
  const library = await loadLibrary()
  const db = PastDatabase.open(library, {
    pageSize: 4096,
    pages: bytes.length / 4096,
    read: (page) => bytes.subarray((page - 1) * 4096, page * 4096),
  })
  db.limitValues(1_000_000)
  guard(library, db)
  return (sql) => [...db.query(sql).rows()]
}

test('a guarded query reads all that a database has, and sets nothing', async () => {
  const ask = await guarded()
  for (const sql of [
    ...['DELETE FROM a', 'INSERT INTO a VALUES (1, 2)', 'CREATE TABLE t (x)', 'DROP TABLE a'],
    ...[
      'CREATE TEMP TABLE t (x)',
      'BEGIN',
      'SAVEPOINT s',
      'ANALYZE',
      'REINDEX',
      'ALTER TABLE a ADD z',
    ],
    ...["ATTACH '/etc/passwd' AS p", "ATTACH ':memory:' AS p", 'DETACH main'],
    ...['PRAGMA hard_heap_limit = 0', 'PRAGMA user_version = 3', 'PRAGMA journal_mode'],
    ...['PRAGMA temp_store_directory', 'PRAGMA writable_schema = 1', 'PRAGMA trusted_schema = 1'],
    ...['PRAGMA encoding = "UTF-16"', 'PRAGMA page_size = 512', 'PRAGMA optimize'],
    ...['PRAGMA USER_VERSION(3)', 'PRAGMA cache_size', 'PRAGMA mmap_size = 1'],
  ])
    assert.throws(() => ask(sql), /not authorized/, sql)
  for (const [sql, reason] of [
    ['VACUUM', /read-only/],
    ["VACUUM INTO '/tmp/stolen'", /read-only/],
    ["SELECT load_extension('/tmp/x.so')", /not authorized|no such function/],
    ["SELECT fts3_tokenizer('simple')", /not authorized|no such function/],
    ['SELECT length(zeroblob(2000000))', /too big/],
    ["SELECT replace(hex(zeroblob(100000)), '0', 'many and more')", /too big/],
    ['SELECT 1; SELECT 2', /one statement/],
  ] as const)
    assert.throws(() => ask(sql), reason, sql)
  const text = (rows: unknown[][]) => rows.map((row) => row.map(String))
  for (const [sql, first] of [
    ['SELECT y FROM a WHERE x = 1', 'one'],
    ['SELECT y FROM v', 'one'],
    ["SELECT body FROM f WHERE f MATCH 'words'", 'some words'],
    ["SELECT name FROM pragma_table_info('a')", 'x'],
    ['PRAGMA integrity_check', 'ok'],
    ['PRAGMA user_version', '0'],
    ['WITH RECURSIVE s (n) AS (VALUES (1) UNION SELECT n + 1 FROM s LIMIT 3) SELECT n FROM s', '1'],
    ["SELECT name FROM sqlite_schema WHERE name = 'i'", 'i'],
  ] as const)
    assert.equal(text(ask(sql))[0][0], first, sql)
  assert.equal(text(ask('PRAGMA table_info(a)')).length, 2)
  assert.equal(text(ask('EXPLAIN QUERY PLAN SELECT * FROM a')).length, 1)
})

test('rows stop at their number, and at their size', async () => {
  const few = new BoundedRows(2, 1000)
  few.columns(['n'])
  assert.equal(await few.rows([[1n], [2n]]), true)
  assert.deepEqual(few.result(), { columns: ['n'], rows: [[1], [2]] })
  assert.equal(await few.rows([[3n]]), false)
  assert.deepEqual(few.result(), { columns: ['n'], rows: [[1], [2]], cut: 'rows' })
  const small = new BoundedRows(100, 13)
  assert.equal(await small.rows([[Buffer.from('abc')], [null], [Buffer.from('def')]]), false)
  assert.deepEqual(small.result(), { columns: [], rows: [['abc'], [null]], cut: 'bytes' })
})
