/** Folders that are no place for the archive of a database. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { isOnDiskOf, requireOwnPlace } from '../../src/backup/stores/folderPlace.ts'
import { messageOf } from '../../src/errors.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { isCode, put } from '../support/storeContract.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-place-'))
after(() => rmSync(root, { recursive: true, force: true }))
const db = join(root, 'app.db')
const state = `${db}-walcast`
writeFileSync(db, '')
mkdirSync(state)
symlinkSync(state, join(root, 'link'))

test('a folder in one that is missing is not made', async () => {
  const store = new DirectoryStore(join(root, 'mnt/backups'), systemFileOps)
  for (const tried of [() => store.list('snapshots'), () => put(store, 'snapshots/a.wca')])
    await assert.rejects(tried, (error) => {
      assert.ok(isCode('STORE_UNREACHABLE')(error))
      assert.match(messageOf(error), /there is no folder \S+mnt; its disk may not be mounted/)
      return true
    })
  assert.ok(!readdirSync(root).includes('mnt'))
  mkdirSync(join(root, 'mnt'))
  assert.equal(await put(store, 'snapshots/a.wca'), true)
})

test('the database and the folder of its node are refused, by any path', () => {
  for (const place of [
    ...[db, `${db}-wal`, state, join(state, 'backup'), join(state, 'a/b')],
    ...[join(root, 'link/new'), join(root, 'x/../app.db-walcast')],
  ])
    assert.throws(() => requireOwnPlace(place, db, state), isCode('STORE_PLACE'), place)
  for (const place of [root, join(root, 'backups'), `${state}-2`, '/'])
    requireOwnPlace(place, db, state)
})

test('a place that is not there yet is on the disk of the folder above it', () => {
  assert.equal(isOnDiskOf(join(root, 'none/at/all'), db), true)
  assert.equal(isOnDiskOf('/proc/none', db), false)
})
