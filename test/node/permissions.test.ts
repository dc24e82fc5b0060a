/** A file that the node's user may not open or write: the error names it and says what to do. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { NodeFile } from '../../src/cluster/nodeFile.ts'
import { WalcastError } from '../../src/errors.ts'
import { makeFolder } from '../../src/platform/fileOps.ts'
import { refillCutWal } from '../../src/sqlite/cutWal.ts'
import { inspectDatabase, openFiles } from '../../src/sqlite/databaseFiles.ts'

/** The user `nobody` of any Linux. */
const STRANGER = 65534

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-permissions-'))
  chmodSync(folder, 0o755)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The error that a user who owns nothing here gets. */
function asStranger(work: () => unknown): WalcastError {
  assert.equal(process.getuid?.(), 0, 'this becomes another user: run it as root')
  process.seteuid?.(STRANGER)
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof WalcastError, String(error))
    return error
  } finally {
    process.seteuid?.(0)
  }
  assert.fail('it was allowed')
}

test('a node folder that this user may not enter does not count as a new one', (t) => {
  const folder = join(newFolder(t), 'copy.db-walcast')
  mkdirSync(folder, { mode: 0o700 })
  for (const isThere of [false, true]) {
    if (isThere) writeFileSync(join(folder, 'node.json'), '{}', { mode: 0o600 })
    if (isThere) chmodSync(folder, 0o755)
    const { key, line } = asStranger(() => NodeFile.peek(folder))
    assert.equal(key, 'DB_UNREADABLE')
    assert.match(
      line,
      /copy\.db-walcast\/node\.json: EACCES.*; .*the user that runs a node must own/,
    )
  }
})

test('the error names the files of a copy that belong to another user', (t) => {
  const path = join(newFolder(t), 'copy.db')
  const db = new Database(path)
  t.after(() => db.close())
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE t (v)')
  for (const suffix of ['', '-wal', '-shm']) chmodSync(`${path}${suffix}`, 0o600)
  assert.match(
    asStranger(() => inspectDatabase(path)).line,
    /^WALCAST_DB_UNREADABLE: cannot open \S+copy\.db: EACCES/,
  )
  const shm = asStranger(() => refillCutWal(path))
  assert.match(shm.line, /^WALCAST_DB_UNREADABLE: cannot open \S+copy\.db-shm: EACCES/)
  chmodSync(path, 0o666)
  chmodSync(`${path}-shm`, 0o666)
  const file = inspectDatabase(path)
  assert.match(
    asStranger(() => openFiles(file, 4096)).line,
    /^WALCAST_DB_UNREADABLE: cannot open \S+copy\.db-wal: EACCES/,
  )
})

test('the error says why a node folder cannot be made', (t) => {
  const folder = newFolder(t)
  const { line } = asStranger(() => makeFolder(join(folder, 'copy.db-walcast')))
  assert.match(
    line,
    new RegExp(
      '^WALCAST_WRITE_FAILED: cannot write \\S+copy\\.db-walcast: EACCES.*; ' +
        '.*the owner of it and of its folder$',
    ),
  )
  const link = join(folder, 'link.db-walcast')
  symlinkSync(join(folder, 'elsewhere'), link)
  assert.throws(() => makeFolder(link), {
    key: 'WRITE_FAILED',
    message:
      `cannot write ${link}: it is a link to ${folder}/elsewhere, which does not exist; ` +
      'create that folder',
  })
  mkdirSync(join(folder, 'elsewhere'))
  makeFolder(link)
})
