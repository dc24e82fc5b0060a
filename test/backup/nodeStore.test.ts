/** The archive of a node as a store: what is read, and what is refused of a node that errs. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { type ArchiveObjects, MAX_LISTED, MAX_RANGE_BYTES } from '../../src/api/archiveObjects.ts'
import { Archive } from '../../src/backup/archive.ts'
import { ArchiveRestore } from '../../src/backup/archiveRestore.ts'
import { HeldListings } from '../../src/backup/heldListings.ts'
import { clusterArchive } from '../../src/backup/restoreTarget.ts'
import { brokenNotes } from '../../src/backup/retention/brokenNotes.ts'
import {
  forgetPoint,
  MAX_NAMED_POINTS,
  namedPoints,
  namePoint,
} from '../../src/backup/retention/namedPoints.ts'
import { Pin, pinnedFiles } from '../../src/backup/retention/pins.ts'
import { ServedArchive } from '../../src/backup/servedArchive.ts'
import { storedFiles } from '../../src/backup/storedFiles.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { NodeStore } from '../../src/backup/stores/nodeStore.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { WalcastError } from '../../src/errors.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { type BackupIdentity, newIdentity } from '../../src/security/backupKeys.ts'
import { writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { bytesIn, isCode, put } from '../support/storeContract.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-node-store-'))
after(() => rmSync(root, { recursive: true, force: true }))

const FILE = `snapshots/${'0'.repeat(15)}-${'a'.repeat(16)}.wca`

let made = 0
function site(changed: Partial<ArchiveObjects> = {}) {
  const kept = new DirectoryStore(join(root, String(++made)), systemFileOps)
  const served = new ServedArchive(kept, () => Date.now(), new HeldListings(), 'a')
  const asked: string[] = []
  const objects: ArchiveObjects = {
    list: (folder, name, listing) => served.list(folder, name, listing),
    read: (name, at, bytes) => {
      asked.push(`${at}+${bytes}`)
      return served.read(name, at, bytes)
    },
    writeNote: (name, note) => served.writeNote(name, note),
    removeNote: (name) => served.removeNote(name),
    ...changed,
  }
  return { kept, asked, store: new NodeStore('http://node', objects) }
}

test('small objects take one question, large ones come in bounded ranges', async () => {
  const { kept, asked, store } = site()
  const large = Buffer.alloc(MAX_RANGE_BYTES * 2 + 10)
  for (let i = 0; i < large.length; i++) large[i] = (i * 2_654_435_761) >>> 13
  await put(kept, FILE, 'hello world')
  await put(kept, 'snapshots/large', large)
  await put(kept, 'snapshots/empty')
  assert.equal((await bytesIn(store, FILE)).toString(), 'hello world')
  assert.equal((await bytesIn(store, 'snapshots/empty')).length, 0)
  assert.equal(asked.length, 2)
  assert.ok((await bytesIn(store, 'snapshots/large')).equals(large))
  assert.deepEqual(asked.slice(3), [
    `0+${MAX_RANGE_BYTES}`,
    `${MAX_RANGE_BYTES}+${MAX_RANGE_BYTES}`,
    `${2 * MAX_RANGE_BYTES}+10`,
  ])
  const object = await store.open(FILE)
  assert.equal((await object.read(6, 5)).toString(), 'world')
  await assert.rejects(object.read(6, 6), isCode('ARCHIVE_BROKEN'))
  await assert.rejects(store.open('snapshots/none'), isCode('ARCHIVE_MISSING'))
  assert.deepEqual((await storedFiles(store)).length, 1)
})

test('an encrypted archive is opened by who asks, and not by the node', async () => {
  const { kept, store } = site()
  const own = newIdentity()
  const states = statesOf(join(root, 'source.db'), 4096).slice(0, 3)
  const recipients = [own.recipient]
  await writeArchive(kept.name, states, 4096, [
    { kind: 'snapshot', incarnation: ONE, states: [0], recipients },
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2], recipients },
  ])
  const restoreWith = async (identities: readonly BackupIdentity[]) => {
    const list = async () =>
      clusterArchive(await Archive.list(store, { identities }), undefined, new Map())
    const run = new ArchiveRestore({ wanted: {}, isAsFarAsPossible: false, list })
    return run.run(join(root, 'restored.db'), {}, systemFileOps, () => {})
  }
  await assert.rejects(restoreWith([]), isCode('ARCHIVE_LOCKED'))
  assert.equal((await restoreWith([own])).checksum, states[2].checksum)
  assert.ok(readFileSync(join(root, 'restored.db')).equals(states[2].bytes))
})

test('it writes pins and names of positions, and refuses the rest', async () => {
  const { kept, store } = site()
  await put(kept, FILE, 'x')
  const files = await storedFiles(store)
  const pin = await Pin.of(store, files, { nowMs: Date.now })
  assert.deepEqual([...(await pinnedFiles(kept, Date.now()))], [FILE])
  await pin.release()
  assert.deepEqual([...(await pinnedFiles(kept, Date.now()))], [])
  const point = { name: 'before', incarnation: 'a'.repeat(16), txid: 3, namedMs: 5 }
  await namePoint(store, point)
  assert.deepEqual(await namedPoints(kept), [point])
  await put(kept, 'points/broken.json', '{')
  await assert.rejects(namedPoints(store), isCode('ARCHIVE_BROKEN'))
  const bad: string[] = []
  assert.deepEqual(await namedPoints(store, (name) => bad.push(name)), [point])
  assert.deepEqual(bad, ['points/broken.json'])
  assert.deepEqual(
    [
      await forgetPoint(store, 'broken'),
      await forgetPoint(store, 'none'),
      await forgetPoint(store, '../a'),
    ],
    [true, false, false],
  )
  assert.deepEqual(await namedPoints(store), [point])
  await assert.rejects(put(store, 'snapshots/a', 'x'), isCode('STORE_REFUSED'))
  await assert.rejects(store.remove(FILE), isCode('STORE_REFUSED'))
  assert.equal((await kept.list('snapshots')).length, 1)
})

test('a node takes a bounded number of names', async () => {
  const names = Array.from({ length: MAX_NAMED_POINTS }, (_, i) => `points/n${i}.json`)
  const { kept } = site()
  const full: Store = {
    name: kept.name,
    list: async () => names.map((name) => ({ name, bytes: 1 })),
    open: (name) => kept.open(name),
    remove: (name) => kept.remove(name),
    create: (name, write) => kept.create(name, write),
  }
  const served = new ServedArchive(full, () => Date.now(), new HeldListings(), 'a')
  const note = { incarnation: 'a'.repeat(16), txid: 3, namedMs: 5 }
  await assert.rejects(served.writeNote('points/more.json', note), isCode('BAD_REQUEST'))
  names.pop()
  assert.equal(await served.writeNote('points/more.json', note), true)
})

test('no name leads out of the archive', async () => {
  const { store } = site()
  for (const name of ['../a', '/a', 'a/../b', '.a', '', 'a//b', 'a\u0000', 'a/']) {
    await assert.rejects(store.open(name), RangeError)
    await assert.rejects(store.list(name), RangeError)
    await assert.rejects(store.remove(name), RangeError)
    await assert.rejects(put(store, name, 'x'), RangeError)
  }
})

test('a list of many names comes in pieces, each of which must go on', async () => {
  const names = Array.from({ length: 2 * MAX_LISTED + 5 }, (_, i) => ({
    name: `changes/0/${String(i).padStart(6, '0')}`,
    bytes: i,
  }))
  const many = { name: 'many', list: async () => names.toReversed() } as unknown as Store
  const served = new ServedArchive(many, () => 0, new HeldListings(), 'a')
  let questions = 0
  const { store } = site({
    list: (folder, from, listing) => {
      questions++
      return served.list(folder, from, listing)
    },
  })
  assert.deepEqual(await store.list('changes/0'), names)
  assert.equal(questions, 3)
  const [one, two] = names
  for (const objects of [
    [{ name: 'snapshots/a', bytes: 1 }],
    [{ name: 'changes/0/../../a', bytes: 1 }],
    [{ name: 'changes/0', bytes: 1 }],
    [two, one],
    [one, one],
  ]) {
    const strange = site({ list: async () => ({ place: '', objects, isMore: false }) })
    await assert.rejects(strange.store.list('changes/0'), isCode('NODE_ANSWER'))
  }
  for (const objects of [[], [one]]) {
    const endless = site({ list: async () => ({ place: '', objects, isMore: true }) })
    await assert.rejects(endless.store.list('changes/0'), isCode('NODE_ANSWER'))
  }
})

test('all pages of a list are of one moment, or it is begun again', async () => {
  const objects = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      name: `changes/0/${String(i).padStart(6, '0')}`,
      bytes: 1,
    }))
  const first = objects(2 * MAX_LISTED + 5)
  // A merge has replaced most of these files by one.
  const merged = [...objects(3), { name: 'changes/0/merged', bytes: 9 }]
  let all = first
  let reads = 0
  const changing = {
    name: 'changing',
    async list() {
      reads++
      return all
    },
  } as unknown as Store
  const listings = new HeldListings()
  const served = new ServedArchive(changing, () => 0, listings, 'a')
  let isForgetful = false
  const { store } = site({
    async list(folder, after, listing) {
      if (isForgetful) listings.end(listing)
      const page = await served.list(folder, after, listing)
      all = merged
      return page
    },
  })
  // Without a comparison of all names in the text of a failure.
  assert.ok(isDeepStrictEqual(await store.list('changes/0'), first))
  assert.deepEqual([reads, listings.size], [1, 0])
  assert.deepEqual(await store.list('changes/0'), merged)
  all = first
  isForgetful = true
  assert.deepEqual(await store.list('changes/0'), merged)
  const never = site({
    list: async (_, after) => {
      const from = after === '' ? 0 : MAX_LISTED
      const page = first.slice(from, from + MAX_LISTED)
      return { place: '', objects: page, isMore: true, listing: `of ${after}` }
    },
  })
  await assert.rejects(never.store.list('changes/0'), isCode('NODE_ANSWER'))
})

test('other bytes than were asked for are refused', async () => {
  const answer = (bytes: number, objectBytes: number) => async () => ({
    bytes: Buffer.alloc(bytes),
    objectBytes,
  })
  for (const [bytes, objectBytes] of [
    [5, 10],
    [11, 10],
    [0, 1],
  ])
    await assert.rejects(
      site({ read: answer(bytes, objectBytes) }).store.open(FILE),
      isCode('NODE_ANSWER'),
    )
  const whole = 1024 * 1024
  const later = async (read: ArchiveObjects['read']) => {
    const { store } = site({
      read: (name, at, bytes) =>
        at === 0 && bytes < whole ? answer(bytes, whole)() : read(name, at, bytes),
    })
    return (await store.open(FILE)).read(0, whole)
  }
  await assert.rejects(later(answer(7, whole)), isCode('NODE_ANSWER'))
  await assert.rejects(later(answer(whole, whole + 1)), isCode('ARCHIVE_BROKEN'))
})

test('a node of an earlier version, which lists no notes of broken files, has none', async () => {
  const refuse = async (folder: string) => {
    throw new WalcastError('BAD_REQUEST', { detail: `${folder} is none of an archive` })
  }
  const { store } = site({ list: refuse })
  assert.deepEqual(await store.list('broken'), [])
  assert.deepEqual(await brokenNotes(store), [])
  await assert.rejects(store.list('points'), isCode('BAD_REQUEST'))
  const away = async () => {
    throw new WalcastError('NODE_UNREACHABLE', { url: 'http://node', detail: 'x' })
  }
  await assert.rejects(site({ list: away }).store.list('broken'), isCode('NODE_UNREACHABLE'))
})

test('what a node lists is bounded in all folders together, and a folder counts once', async () => {
  const list = async (folder: string) => ({
    place: '',
    objects: ['a', 'b', 'c'].map((name) => ({ name: `${folder}/${name}`, bytes: 1 })),
    isMore: false,
  })
  const refuse = async () => assert.fail()
  const objects = { list, read: refuse, writeNote: refuse, removeNote: refuse }
  const store = new NodeStore('http://node', objects, 6)
  for (const folder of ['snapshots', 'changes/0', 'changes/0', 'snapshots'])
    assert.equal((await store.list(folder)).length, 3)
  await assert.rejects(store.list('changes/1'), isCode('NODE_ANSWER'))
})
