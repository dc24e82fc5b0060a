/** A dated snapshot that is not what it was made of is found out. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { checkDated } from '../../../src/backup/dated/datedCheck.ts'
import { writeDated } from '../../../src/backup/dated/datedFile.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { checksumOf, ONE, statesOf } from '../../support/archives.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-dated-'))
after(() => rmSync(root, { recursive: true, force: true }))

const PAGE = 1024
const NAME = 'app/app-2026-11-30T140207Z-1-105.db.gz'
const states = statesOf(join(root, 'source.db'), PAGE)
const { bytes, txid, checksum } = states[states.length - 1]
const file = join(root, 'place', NAME)
let made = 0

/** `expected`: undefined where another process made it. */
function check(expected?: string): Promise<string> {
  const folder = join(root, `check-${++made}`)
  mkdirSync(folder)
  const pages = bytes.length / PAGE
  const about = { place: join(root, 'place'), name: NAME, folder, txid }
  const store = new DirectoryStore(about.place, systemFileOps)
  const madeOf = expected === undefined ? undefined : { pageSize: PAGE, pages, checksum: expected }
  return checkDated({ ...about, ...(madeOf ? { madeOf } : {}) }, store, systemFileOps)
}

test('what is written is the database, byte for byte, and is found sound', async () => {
  const path = join(root, 'taken')
  writeFileSync(path, bytes)
  const taken = {
    at: { incarnation: ONE, epoch: 1, txid, checksum },
    ...{ timeMs: 0, pages: bytes.length / PAGE, pageSize: PAGE, path },
  }
  const store = new DirectoryStore(join(root, 'place'), systemFileOps)
  assert.ok(await store.create(NAME, (append) => writeDated(taken, append)))
  assert.deepEqual(gunzipSync(readFileSync(file)), bytes)
  assert.equal(await check(checksum), checksum)
  assert.equal(await check(), checksum)
})

test('one that is cut off, changed, longer, or of an unsound database is refused', async () => {
  const packed = gzipSync(bytes)
  writeFileSync(file, packed.subarray(0, packed.length - 100))
  await assert.rejects(check(checksum), { key: 'ARCHIVE_BROKEN' })
  await assert.rejects(check(), { key: 'ARCHIVE_BROKEN' })
  const other = Buffer.from(bytes)
  other[bytes.length - 1] ^= 1
  writeFileSync(file, gzipSync(other))
  await assert.rejects(check(checksum), { key: 'ARCHIVE_MISMATCH' })
  writeFileSync(file, gzipSync(Buffer.concat([bytes, bytes])))
  await assert.rejects(check(checksum), { key: 'ARCHIVE_MISMATCH' })
  // As it was, and never sound: the root page of the schema leads nowhere.
  const unsound = Buffer.from(bytes).fill(7, PAGE, bytes.length)
  writeFileSync(file, gzipSync(unsound))
  await assert.rejects(check(checksumOf(unsound, PAGE)), { key: 'RESTORE_UNSOUND' })
  await assert.rejects(check(), { key: 'RESTORE_UNSOUND' })
})
