/** Commits that are counted ahead of capture are those that a reader of the WAL finds. */
import assert from 'node:assert/strict'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { CommitCounter } from '../../src/leader/commitCounter.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-commits-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('commits behind a transaction that is captured in part', async () => {
  const path = join(folder, 'a.db')
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('wal_autocheckpoint = 0')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)')
  const walIndex = new WalIndexReader(openSync(`${path}-shm`, 'r'))
  const published = () => {
    const header = walIndex.read()
    assert.ok(header)
    return header
  }
  const counter = new CommitCounter(openSync(`${path}-wal`, 'r'), 4096)
  const start = { frame: published().mxFrame, txid: 7 }
  assert.equal(await counter.count(start, published()), 7)
  // More frames than are looked at at once.
  db.exec(
    `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
      INSERT INTO t (body) SELECT randomblob(3000) FROM n`,
  )
  const within = { frame: start.frame + 100, txid: 7 }
  const insert = db.prepare('INSERT INTO t (body) VALUES (NULL)')
  for (let i = 0; i < 5; i++) insert.run()
  const results = await Promise.all([
    counter.count(within, published()),
    counter.count(within, published()),
    counter.count({ frame: within.frame + 50, txid: 7 }, published()),
  ])
  assert.deepEqual(results, [13, 13, 13])
  assert.equal(counter.txid, 13)
  insert.run()
  assert.equal(await counter.count(within, published()), 14)
  const old = published()
  db.pragma('wal_checkpoint(TRUNCATE)')
  insert.run()
  assert.equal(await counter.count({ frame: 0, txid: 14 }, published()), 15)
  assert.equal(
    await counter.count({ frame: 0, txid: 0 }, { ...old, mxFrame: old.mxFrame + 1 }),
    undefined,
    'another generation',
  )
  db.close()
})
