/** The content of an open database is replaced by one transaction: others see all of it or none. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import Database from 'better-sqlite3'
import { keyOf } from '../../src/errors.ts'
import { transferContent } from '../../src/sqlite/contentTransfer.ts'
import { type Lab, labTest } from '../support/lab.ts'

/** More pages than the library keeps in memory: some reach the log before the commit. */
const PAGES = 6000
const LOCK_MS = 5000

function database(path: string, rows: number, ...pragmas: readonly string[]): Database.Database {
  const db = new Database(path)
  for (const pragma of [...pragmas, 'journal_mode = WAL']) db.pragma(pragma)
  db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, b)')
  const insert = db.prepare('INSERT INTO a (b) VALUES (?)')
  db.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(randomBytes(3900))
  })()
  return db
}

const rowsOf = (db: Database.Database) => db.prepare('SELECT count(*) FROM a').pluck().get()

labTest(
  'a kill during the transfer leaves the old content, and one after it the new',
  async (lab) => {
    const [from, into] = [lab.path('from.db'), lab.path('into.db')]
    database(from, PAGES).close()
    const live = database(into, 10)
    for (const killAt of [0, 256, PAGES - 200]) {
      const child = lab.program('transferContent', { from, into, killAt })
      child.expectEnd()
      assert.equal((await child.ended).signal, 'SIGKILL', child.tail())
      assert.equal(rowsOf(live), 10, `killed at ${killAt}`)
      live.exec('INSERT INTO a (b) VALUES (1); DELETE FROM a WHERE b = 1')
      assert.equal(live.pragma('integrity_check', { simple: true }), 'ok')
    }
    const child = lab.program('transferContent', { from, into, killAt: 2 * PAGES })
    child.expectEnd()
    assert.equal((await child.ended).code, 0, child.tail())
    assert.equal(rowsOf(live), PAGES)
    assert.equal(live.pragma('integrity_check', { simple: true }), 'ok')
    live.close()
  },
)

labTest('readers keep their state, and writers are locked out from the start', async (lab) => {
  const [from, into] = [lab.path('from.db'), lab.path('into.db')]
  database(from, 300, 'auto_vacuum = FULL').close()
  const live = database(into, 500)
  const reader = new Database(into, { readonly: true })
  const writer = new Database(into, { timeout: 0 })
  reader.exec('BEGIN')
  assert.equal(rowsOf(reader), 500)
  const before = live.pragma('schema_version', { simple: true })
  const seen: unknown[] = []
  const prepared = await transferContent(from, into, LOCK_MS, {
    prepare: async () => {
      assert.throws(() => writer.exec('BEGIN IMMEDIATE'), { code: 'SQLITE_BUSY' })
      return 'prepared'
    },
    onPages: () => seen.push(rowsOf(live)),
  })
  assert.equal(prepared, 'prepared')
  assert.deepEqual([...new Set(seen)], [500])
  assert.equal(rowsOf(reader), 500)
  reader.exec('COMMIT')
  for (const db of [reader, live, writer]) assert.equal(rowsOf(db), 300)
  assert.equal(live.pragma('schema_version', { simple: true }), Number(before) + 1)
  assert.equal(writer.pragma('auto_vacuum', { simple: true }), 1)
  assert.equal(writer.pragma('journal_mode', { simple: true }), 'wal')
  writer.exec('DELETE FROM a WHERE id > 10')
  assert.equal(live.pragma('integrity_check', { simple: true }), 'ok')
  for (const db of [reader, live, writer]) db.close()
})

labTest('a failure before the first page changes nothing', async (lab) => {
  const [from, into] = [lab.path('from.db'), lab.path('into.db')]
  database(from, 20).close()
  const live = database(into, 5)
  const failing = async () => Promise.reject(new Error('not now'))
  await assert.rejects(transferContent(from, into, LOCK_MS, { prepare: failing }), /not now/)
  live.exec('BEGIN IMMEDIATE')
  const never = async () => assert.fail('it has no lock')
  await refused('SQLITE_BUSY', from, into, 0, never)
  live.exec('COMMIT')
  await refusedFor(lab, into, 'page_size = 8192')
  await refusedFor(lab, into, "encoding = 'UTF-16le'")
  await refused('DB_REPLACED', from, lab.path('gone.db'), LOCK_MS, never)
  assert.deepEqual(
    readdirSync(lab.folder).filter((name) => name.startsWith('gone')),
    [],
  )
  assert.equal(rowsOf(live), 5)
  live.close()
})

async function refusedFor(lab: Lab, into: string, pragma: string): Promise<void> {
  const from = lab.path(`${pragma.slice(0, 4)}.db`)
  database(from, 20, pragma).close()
  await refused('SQLITE_FAILED', from, into, LOCK_MS, async () => {})
}

async function refused(
  key: string,
  from: string,
  into: string,
  lockMs: number,
  prepare: () => Promise<unknown>,
): Promise<void> {
  await assert.rejects(transferContent(from, into, lockMs, { prepare }), (error) => {
    assert.equal(keyOf(error), key)
    return true
  })
}
