/** Commits of real databases, followed without a lock. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { TableOwners } from '../../src/backup/past/tableOwners.ts'
import { CommitFollower } from '../../src/sqlite/commitFollower.ts'

function followed(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  const path = join(folder, 'app.db')
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.pragma('wal_autocheckpoint = 0')
  db.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY, body); CREATE TABLE users (name)')
  const follower = CommitFollower.open(path)
  assert.ok(follower)
  t.after(() => {
    // After SQLite: closing the files drops the locks of this whole process.
    db.close()
    follower.close()
    rmSync(folder, { recursive: true })
  })
  return { path, db, follower }
}

test('each commit comes once, with its pages and the size after it', (t) => {
  const { db, follower } = followed(t)
  assert.deepEqual(follower.step(), { commits: [], isBroken: false })
  db.exec("INSERT INTO notes (body) VALUES ('a')")
  db.exec('BEGIN; INSERT INTO notes (body) VALUES (randomblob(20000))')
  db.exec("INSERT INTO users VALUES ('x'); COMMIT")
  const { commits, isBroken } = follower.step()
  assert.equal(isBroken, false)
  assert.deepEqual(
    commits.map(({ pages }) => pages > 3),
    [false, true],
  )
  assert.equal(commits[1].pages, db.pragma('page_count', { simple: true }))
  assert.equal(new Set(commits[1].changed).size, commits[1].changed.length)
  assert.ok(commits[0].walBytes < commits[1].walBytes)
  assert.deepEqual(follower.step().commits, [])
})

test('a transaction that is not committed is not seen', (t) => {
  const { db, follower } = followed(t)
  db.pragma('cache_size = 2')
  db.exec('BEGIN; INSERT INTO notes (body) VALUES (randomblob(200000))')
  assert.deepEqual(follower.step(), { commits: [], isBroken: false })
  db.exec('COMMIT')
  assert.equal(follower.step().commits.length, 1)
})

test('a WAL that starts over is followed on; commits that were missed are noticed', (t) => {
  const { db, follower } = followed(t)
  const insert = db.prepare("INSERT INTO users VALUES ('x')")
  for (const isMissed of [false, true, false]) {
    insert.run()
    if (!isMissed) follower.step()
    db.pragma('wal_checkpoint(restart)')
    insert.run()
    const { commits, isBroken } = follower.step()
    assert.deepEqual([commits.length, isBroken], [1, isMissed])
  }
  insert.run()
  follower.step()
  db.pragma('wal_checkpoint(truncate)')
  assert.deepEqual(follower.step(), { commits: [], isBroken: false })
  insert.run()
  assert.deepEqual(
    [follower.step()].map(({ commits, isBroken }) => [commits.length, isBroken]),
    [[1, false]],
  )
})

test('pages are those of the last commit, in the WAL or in the file', async (t) => {
  const { db, follower } = followed(t)
  const owners = new TableOwners(follower)
  await owners.count([])
  const count = async () => {
    const { commits } = follower.step()
    return owners.count(commits.flatMap(({ changed }) => [...changed]))
  }
  db.exec("INSERT INTO users VALUES ('x')")
  assert.deepEqual([...(await count())], [['users', 1]])
  db.pragma('wal_checkpoint(truncate)')
  db.exec('INSERT INTO notes (body) VALUES (randomblob(9000))')
  assert.deepEqual([...(await count()).keys()], ['notes'])
  db.exec('CREATE TABLE later (a); INSERT INTO later VALUES (1)')
  assert.ok((await count()).has('later'))
  assert.equal(follower.isWhole, true)
})

test('other files under the same names are noticed', (t) => {
  const { path, db, follower } = followed(t)
  assert.equal(follower.isStillAt(path), true)
  db.close()
  assert.equal(follower.isStillAt(path), false)
  assert.equal(CommitFollower.open(path), undefined)
})
