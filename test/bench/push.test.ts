/** The bench's push of whole databases: what is copied, and what a reader sees. */
import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { push } from '../../bench/clients/push.ts'
import { openForReading, openForWriting, sqlite } from '../../bench/clients/sqlite.ts'
import { Snapshots } from '../../bench/snapshots.ts'
import { temporaryFolder } from '../support/sourceDatabase.ts'

const folder = temporaryFolder()
after(() => folder.remove())

function openSource(name: string) {
  const path = join(folder.path, name)
  const db = openForWriting(path, 1000)
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)')
  return {
    path,
    db,
    insert: (id: number) => db.prepare('INSERT INTO t VALUES (?, ?)').run(id, 'value'),
  }
}

/** As the receiver does. */
function publish(database: Buffer | undefined, path: string): void {
  assert.ok(database)
  writeFileSync(`${path}.arriving`, database)
  renameSync(`${path}.arriving`, path)
}

test('each change is pushed once, as a whole file without a WAL', async () => {
  const source = openSource('source.db')
  const snapshots = new Snapshots(source.path)
  assert.ok(snapshots.next())
  assert.equal(snapshots.next(), undefined)
  source.insert(1)
  source.insert(2)
  const arrived = join(folder.path, 'arrived.db')
  publish(snapshots.next(), arrived)
  assert.equal(snapshots.next(), undefined)
  assert.equal(await push.digest(arrived), await sqlite.digest(source.path))
  const db = openForReading(arrived)
  assert.equal(db.pragma('journal_mode', { simple: true }), 'delete')
  db.close()
  snapshots.close()
  source.db.close()
})

test('a reader sees nothing before the first push, then every new file', async () => {
  const source = openSource('pushed.db')
  const snapshots = new Snapshots(source.path)
  const arrived = join(folder.path, 'replaced.db')
  const reader = await push.openReader(arrived)
  assert.equal(await reader.maxId(), 0)
  for (let id = 1; id <= 20; id++) {
    source.insert(id)
    publish(snapshots.next(), arrived)
    assert.equal(await reader.maxId(), id)
    assert.equal(await reader.maxId(), id)
  }
  await reader.close()
  snapshots.close()
  source.db.close()
})
