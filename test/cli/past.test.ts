/** `walcast at`, `history` and `undo` as a person mistypes, repeats and meets gaps with them. */
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { FIRST } from '../support/archives.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { storePast } from '../support/pastArchives.ts'

const STEPS = [
  'CREATE TABLE orders (id INTEGER PRIMARY KEY, total)',
  'INSERT INTO orders SELECT n, 10 * n FROM generate WHERE n <= 9',
  'DELETE FROM orders WHERE id < 4',
  'UPDATE orders SET total = 1 WHERE id = 9',
]

async function walcast(lab: Lab, ...args: readonly string[]) {
  const child = lab.cli(args)
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

/** The archive of STEPS, and the database behind it. */
async function siteIn(lab: Lab) {
  const archive = lab.path('archive')
  const store = new DirectoryStore(archive, systemFileOps)
  await storePast(store, lab.path('source.db'), STEPS, { perFile: 1 })
  return { archive, from: ['--from', archive], source: lab.path('source.db') }
}

labTest('at --open replaces no file, and says so before it reads', async (lab) => {
  const { from } = await siteIn(lab)
  const path = lab.path('old.db')
  writeFileSync(path, 'mine')
  const { code, err } = await walcast(lab, 'at', 'newest', '--open', path, ...from)
  assert.equal(code, 1)
  assert.match(err, /^WALCAST_RESTORE_REFUSED: .*old\.db: a file is there; give --open /)
  assert.equal(readFileSync(path, 'utf8'), 'mine')
  const none = await walcast(lab, 'at', 'newest', '--open', lab.path('no/old.db'), ...from)
  assert.match(none.err, /^WALCAST_RESTORE_REFUSED: .*there is no folder/)
  assert.equal(existsSync(lab.path('no')), false)
})

labTest('a folder without an archive is told to be none', async (lab) => {
  for (const args of [['history'], ['at', 'newest', 'SELECT 1'], ['undo', '3-1']]) {
    const { code, err } = await walcast(lab, ...args, '--from', lab.path('nowhere'))
    assert.equal(code, 1)
    assert.match(err, /^WALCAST_NO_ARCHIVE: .*nowhere; give --from the place that has the folders/)
  }
})

labTest('history names the table that nothing changed, and goes over a gap', async (lab) => {
  const { archive, from } = await siteIn(lab)
  const none = await walcast(lab, 'history', '--table', 'order', ...from)
  assert.deepEqual([none.code, none.out], [0, ''])
  assert.match(none.err, /^no change of a table order in the newest \d+ positions: check its name/)
  const [second] = readdirSync(`${archive}/changes/0`)
  rmSync(`${archive}/changes/0/${second}`)
  const { code, out, err } = await walcast(lab, 'history', ...from)
  assert.equal(code, 0, err)
  // What leads nowhere has changes, of tables that cannot be told.
  assert.match(out, new RegExp(` 3-${FIRST + STEPS.length - 1} .* \\? \\d+$`, 'm'))
  const asked = await walcast(lab, 'at', 'newest', 'SELECT 1', ...from)
  assert.match(asked.err, /^WALCAST_ARCHIVE_GAP: .*; take a position that "walcast backups" shows/)
})

labTest('a second undo finds that nothing is left to take back', async (lab) => {
  const { archive, source } = await siteIn(lab)
  const db = new Database(source)
  const rows = db.prepare('SELECT count(*) FROM orders').pluck()
  const position = `3-${FIRST + 2}`
  const undo = ['undo', position, '--from', archive]
  const live = lab.path('live.db')
  copyFileSync(source, live)
  const first = await walcast(lab, ...undo, '--apply', '--db', live)
  assert.match(first.err, /^3 rows of 1 table put back$/m)
  // The archive gets what the undo did.
  const again = lab.path('archive-2')
  const steps = [...STEPS, 'INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)']
  await storePast(new DirectoryStore(again, systemFileOps), lab.path('second.db'), steps)
  const second = await walcast(lab, 'undo', position, '--from', again)
  assert.deepEqual([second.code, second.out], [0, ''])
  assert.equal(second.err, 'no row to put back; 3 as before already')
  const mixed = lab.path('archive-3')
  const later = [...STEPS, 'INSERT INTO orders VALUES (1, 10), (2, 0)']
  await storePast(new DirectoryStore(mixed, systemFileOps), lab.path('third.db'), later)
  const kept = await walcast(lab, 'undo', position, '--from', mixed, '--conflicts', 'keep')
  assert.match(kept.err, /^conflict in orders \[id=2\]: .*\nrows in conflict: --conflicts keep\n/)
  assert.match(kept.err, /\n1 row of 1 table to put back; 1 left as they are; 1 as before already$/)
  assert.doesNotMatch(kept.out, /VALUES \([12],/)
  assert.equal(rows.get(), 6)
  db.close()
})
