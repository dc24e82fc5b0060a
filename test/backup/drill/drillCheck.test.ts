/** The query of an operator: what is wrong with it is told before the first drill. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { unfitness } from '../../../src/backup/drill/drillCheck.ts'
import { queryProblem } from '../../../src/sqlite/queryProblem.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-check-'))
after(() => rmSync(root, { recursive: true, force: true }))

test('what no database can make right is found without one', () => {
  for (const sql of [
    'SELECT count(*) > 0 FROM orders',
    "WITH a AS (SELECT 1 AS b) SELECT b FROM a JOIN orders ON total > 'x' -- why",
    'SELECT 1;',
    'PRAGMA user_version',
  ])
    assert.equal(queryProblem(sql), undefined, sql)
  for (const [sql, problem] of [
    ['SELEC 1', /syntax error/],
    ['SELECT count(* FROM orders', /syntax error/],
    ['SELECT', /incomplete input/],
    ["SELECT 'x", /unrecognized token/],
    ['SELECT 1; SELECT 2', /more than one statement/],
    ['-- nothing', /no statements/],
    ['SELECT missing', /no such column/],
    ['SELECT walcast_unknown(1)', /no such function/],
    ['CREATE TABLE a (b)', /gives no rows/],
    ['BEGIN', /gives no rows/],
  ] as const)
    assert.match(queryProblem(sql) ?? '', problem, sql)
})

test('a query that does not fit the database is told of, and not run', async () => {
  const path = join(root, 'app.db')
  const db = new Database(path)
  db.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, total)')
  db.close()
  const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n)'
  assert.equal(await unfitness(path, `${endless} SELECT count(*) FROM n, orders`), undefined)
  assert.equal(await unfitness(path, 'SELECT 1 FROM later'), 'no such table: later')
  assert.equal(await unfitness(path, 'SELECT sum(price) FROM orders'), 'no such column: price')
  assert.equal(await unfitness(join(root, 'none.db'), 'SELECT 1'), undefined)
})
