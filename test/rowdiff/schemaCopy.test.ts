/** A database with the schema of another, and nothing in it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { createSchema, type SchemaEntry } from '../../src/rowdiff/schemaCopy.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-schema-'))
after(() => rmSync(root, { recursive: true, force: true }))

test('more tables and indexes than are made at once have a b-tree each', () => {
  const entries: SchemaEntry[] = []
  for (let i = 0; i < 1100; i++) {
    const [name, table] = [`i${i}`, `t${i}`]
    const without = i % 100 === 0 ? ' WITHOUT ROWID' : ''
    const tableSql = `CREATE TABLE ${table} (a PRIMARY KEY, b)${without}`
    const indexSql = `CREATE INDEX ${name} ON ${table} (b)`
    entries.push({ type: 'table', name: table, table, root: 3, sql: tableSql })
    // The primary key of a table with rowids is an index of its own.
    if (without === '')
      entries.push({
        type: 'index',
        name: `sqlite_autoindex_${table}_1`,
        table,
        root: 2,
        sql: null,
      })
    entries.push({ type: 'index', name, table, root: 4, sql: indexSql })
  }
  const path = join(root, 'copy.db')
  createSchema(path, entries, 'UTF-8')
  const db = new Database(path)
  const stored = db
    .prepare<[], SchemaEntry>(
      'SELECT type, name, tbl_name AS "table", rootpage AS root, sql FROM sqlite_schema',
    )
    .all()
  assert.deepEqual(
    stored.map(({ root: _, ...entry }) => entry),
    entries.map(({ root: _, ...entry }) => entry),
  )
  assert.equal(new Set(stored.map((entry) => entry.root)).size, entries.length)
  for (const i of [0, 1, 499, 500, 1099])
    db.exec(`INSERT INTO t${i} VALUES (1, 'x'), (2, 'y'); DELETE FROM t${i} WHERE b = 'x'`)
  assert.deepEqual(db.prepare("SELECT a FROM t1099 WHERE b = 'y'").all(), [{ a: 2 }])
  const problems = db.pragma('integrity_check') as { readonly integrity_check: string }[]
  // Pages of tables that indexes needed for a moment, and nothing else.
  for (const { integrity_check: problem } of problems)
    assert.match(
      problem,
      /^(?:\*\*\* in database main \*\*\*\n)?(?:Page \d+: never used\n?)+$|^ok$/,
    )
  db.close()
})
