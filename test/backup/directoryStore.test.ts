/** An archive in a folder: objects are whole or not there, and never change. */
import assert from 'node:assert/strict'
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { WalcastError } from '../../src/errors.ts'
import { createFileOps, type FileOp, systemFileOps } from '../../src/platform/fileOps.ts'
import { bytesIn, isCode, put, storeContract } from '../support/storeContract.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-store-'))
after(() => rmSync(root, { recursive: true, force: true }))

let made = 0
function newStore(ops = systemFileOps) {
  const folder = join(root, String(++made))
  return { folder, store: new DirectoryStore(folder, ops) }
}

storeContract('a folder', () => newStore().store, { isExclusive: true, largeBytes: 100_000 })

const textOf = async (store: Store, name: string) => (await bytesIn(store, name)).toString()

test('an object is written in pieces, listed, read in parts and removed', async () => {
  const { store, folder } = newStore()
  assert.deepEqual(await store.list('changes/0'), [])
  assert.equal(await put(store, 'changes/0/a.wca', 'hello ', 'world'), true)
  assert.equal(await put(store, 'changes/0/b.wca'), true)
  const listed = await store.list('changes/0')
  assert.deepEqual(
    listed.toSorted((a, b) => a.name.localeCompare(b.name)),
    [
      { name: 'changes/0/a.wca', bytes: 11 },
      { name: 'changes/0/b.wca', bytes: 0 },
    ],
  )
  const object = await store.open('changes/0/a.wca')
  assert.equal((await object.read(6, 5)).toString(), 'world')
  await assert.rejects(object.read(6, 6), isCode('ARCHIVE_BROKEN'))
  await object.close()
  assert.equal(statSync(join(folder, 'changes/0/a.wca')).mode & 0o777, 0o600)
  assert.equal(statSync(join(folder, 'changes')).mode & 0o777, 0o700)
  await store.remove('changes/0/a.wca')
  await store.remove('changes/0/a.wca')
  await assert.rejects(store.open('changes/0/a.wca'), isCode('ARCHIVE_MISSING'))
})

test('others have their turn while many objects are listed', async () => {
  const { store, folder } = newStore()
  mkdirSync(join(folder, 'pins'), { recursive: true })
  for (let i = 0; i < 350; i++) writeFileSync(join(folder, `pins/${i}`), '')
  let turns = 0
  const count = () => {
    turns++
    waiting = setImmediate(count)
  }
  let waiting = setImmediate(count)
  const { length } = await store.list('pins')
  clearImmediate(waiting)
  assert.equal(length, 350)
  assert.ok(turns >= 3, `${turns} turns`)
})

test('no file is told to be missing while the disk is away', async () => {
  const store = new DirectoryStore(join(root, 'not mounted', 'app'), systemFileOps)
  await assert.rejects(store.open('changes/0/a.wca'), isCode('STORE_UNREACHABLE'))
})

test('of two writers of one name the first wins, and both go on', async () => {
  const { store, folder } = newStore()
  const [first, second] = await Promise.all([put(store, 'a', 'first'), put(store, 'a', 'second')])
  assert.deepEqual([first, second].toSorted(), [false, true])
  const text = await textOf(store, 'a')
  assert.equal(text, first ? 'first' : 'second')
  assert.equal(await put(store, 'a', 'third'), false)
  assert.equal(await textOf(store, 'a'), text)
  assert.deepEqual(readdirSync(folder), ['a'])
})

test('a writer that fails leaves nothing, and nothing half-written is listed', async () => {
  for (const step of ['archive.write', 'archive.sync', 'copy.publish'] satisfies FileOp[]) {
    const { store, folder } = newStore(
      createFileOps((op) => {
        if (op === step) throw new WalcastError('DISK_FULL', { path: 'a' })
      }),
    )
    await assert.rejects(put(store, 'a', 'text'), isCode('DISK_FULL'), step)
    assert.deepEqual(readdirSync(folder), [], step)
  }
  const { store } = newStore()
  const failing = store.create('x/a', async (append) => {
    await append(Buffer.from('half'))
    assert.deepEqual(await store.list('x'), [])
    throw new Error('cut')
  })
  await assert.rejects(failing, /cut/)
  assert.deepEqual(await store.list('x'), [])
})

test('what a dead writer has left is removed when it is old', async () => {
  const { store, folder } = newStore()
  await put(store, 'a', 'text')
  const [old, young] = ['.begun-0000000000000001', '.begun-0000000000000002']
  for (const name of [old, young]) writeFileSync(join(folder, name), 'half')
  utimesSync(join(folder, old), 1, 1)
  await put(new DirectoryStore(folder, systemFileOps), 'b', 'text')
  assert.deepEqual(readdirSync(folder).toSorted(), [young, 'a', 'b'])
})

test('no name leads out of the folder, and no link is followed', async () => {
  const { store, folder } = newStore()
  for (const name of ['../a', '/a', 'a/../b', '.a', 'a/.b', '', 'a//b', 'a\u0000', 'a/'])
    await assert.rejects(put(store, name, 'x'), RangeError, JSON.stringify(name))
  await put(store, 'a', 'text')
  const outside = join(root, 'outside')
  writeFileSync(outside, 'secret')
  symlinkSync(outside, join(folder, 'link'))
  await assert.rejects(store.open('link'), isCode('STRANGE_FILE'))
  mkdirSync(join(folder, 'x'))
  symlinkSync(outside, join(folder, 'x/link'))
  assert.deepEqual(await store.list('x'), [])
  assert.equal(await put(store, 'link', 'x'), false)
  assert.equal(readFileSync(outside, 'utf8'), 'secret')
})

test('a place that is a file is not reached', async () => {
  const { store, folder } = newStore()
  writeFileSync(folder, 'no folder')
  await assert.rejects(store.list('x'), isCode('STORE_UNREACHABLE'))
  await assert.rejects(store.open('x/a'), isCode('STORE_UNREACHABLE'))
})

test('notes that root writes into the archive of another user belong to that user', async () => {
  assert.equal(process.getuid?.(), 0, 'this writes as root: run it as root')
  const { store, folder } = newStore()
  const ownersOf = (...names: string[]) =>
    names.map((name) => statSync(join(folder, name))).map(({ uid, gid }) => [uid, gid])
  await put(store, 'points/own.json', '{}')
  assert.deepEqual(ownersOf('', 'points', 'points/own.json'), Array(3).fill([0, 0]))
  chownSync(folder, 4321, 1234)
  for (const name of ['broken/1-a.json', 'pins/a.json', 'points/later.json'])
    await put(store, name, '{}')
  assert.deepEqual(
    ownersOf('broken', 'broken/1-a.json', 'pins', 'pins/a.json', 'points/later.json'),
    Array(5).fill([4321, 1234]),
  )
  // What holds pages is nobody else's to read.
  await put(store, 'changes/0/a.wca', 'x')
  assert.deepEqual(ownersOf('changes/0', 'changes/0/a.wca'), Array(2).fill([0, 0]))
})
