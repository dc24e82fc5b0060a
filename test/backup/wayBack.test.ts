/** The way back: a name for a position that the archive restores, or an error. */
import assert from 'node:assert/strict'
import { Archive } from '../../src/backup/archive.ts'
import { clusterArchive } from '../../src/backup/restoreTarget.ts'
import { namedPoints, namePoint } from '../../src/backup/retention/namedPoints.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import type { Store } from '../../src/backup/stores/store.ts'
import { WayBack } from '../../src/backup/wayBack.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { type FolderFile, writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { type Lab, labTest } from '../support/lab.ts'

const PAGE_SIZE = 512
const NODE = 'node-a'
/** With digits of the incarnation: two clusters of a place reach the same numbers. */
const NAME = `before-restore-1-102-${ONE.slice(0, 8)}`

labTest('a position is named once a restore of it has no gap', async (lab) => {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 4)
  const place = lab.path('archive')
  const write = (file: FolderFile) => writeArchive(place, states, PAGE_SIZE, [file])
  const store = new DirectoryStore(place, systemFileOps)
  const list = async () => clusterArchive(await Archive.list(store), 'cluster-a', new Map())
  const way = new WayBack({ store, cluster: 'cluster-a', list })
  const at = (txid: number, incarnation = ONE) => ({ epoch: 1, txid, incarnation })
  const refused = (pattern: RegExp) => (error: Error) => pattern.test(error.message)
  await assert.rejects(
    way.requireFollowed(NODE, at(101), 0),
    refused(/it is at 1-101, and the archive in .* has nothing of its cluster: .* no way back/),
  )
  await write({ kind: 'snapshot', incarnation: ONE, states: [0] })
  await assert.rejects(
    way.requireFollowed(NODE, at(101), 0),
    refused(/archive in .* ends at 1-100/),
  )
  await way.requireFollowed(NODE, at(100), 0)
  await assert.rejects(
    way.requireFollowed(NODE, { epoch: 2, txid: 100 }, 0),
    refused(/it is at 2-100/),
  )
  // The changes in between are missing.
  await write({ kind: 'changes', incarnation: ONE, from: 1, states: [2] })
  const late = refused(/ended before its commit: .*archive did not get 1-102 in time \(--hold\)/)
  await assert.rejects(way.keep(NODE, at(102), 0), late)
  assert.deepEqual(await namedPoints(store), [])
  const kept = way.keep(NODE, at(102), 30_000)
  await write({ kind: 'changes', incarnation: ONE, from: 0, states: [1] })
  assert.equal(await kept, NAME)
  // Another state of the same number is not the one before.
  await assert.rejects(way.keep(NODE, at(102, '9999999999999999'), 0), late)
  const names = (await namedPoints(store)).map(({ name, txid }) => [name, txid])
  assert.deepEqual(names, [[NAME, 102]])
  await way.forget()
  assert.deepEqual(await namedPoints(store), [])
})

/** A place with the positions 100 to 102 of the cluster. */
async function placeIn(lab: Lab) {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 3)
  const place = lab.path('archive')
  await writeArchive(place, states, PAGE_SIZE, [
    { kind: 'snapshot', incarnation: ONE, states: [0] },
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2] },
  ])
  const store = new DirectoryStore(place, systemFileOps)
  const list = async () => clusterArchive(await Archive.list(store), 'cluster-a', new Map())
  return { store, list }
}

const AT = { epoch: 1, txid: 102, incarnation: ONE }

labTest('a name that was there before stays, whatever has it', async (lab) => {
  const { store, list } = await placeIn(lab)
  const other = { name: NAME, incarnation: '9'.repeat(16), txid: 7, namedMs: 1 }
  await namePoint(store, other)
  const way = new WayBack({ store, cluster: 'cluster-a', list })
  await assert.rejects(way.keep(NODE, AT, 30_000), /another position has the name before-restore-/)
  await way.forget()
  assert.deepEqual(await namedPoints(store), [other])
  await store.remove(`points/${NAME}.json`)
  const own = { ...other, incarnation: ONE, txid: 102 }
  await namePoint(store, own)
  assert.equal(await way.keep(NODE, AT, 30_000), NAME)
  await way.forget()
  assert.deepEqual(await namedPoints(store), [own])
})

labTest('a place that does not answer holds writers no longer than it may', async (lab) => {
  const { store, list } = await placeIn(lab)
  const never = () => new Promise<never>(() => {})
  const deaf = new WayBack({ store, cluster: 'cluster-a', list: never })
  await assert.rejects(deaf.keep(NODE, AT, 20), /did not get 1-102 in time \(--hold\)/)
  // The name is on its way when the time is over, and is taken back once it is there.
  let answer = () => {}
  const answers = new Promise<void>((resolve) => {
    answer = resolve
  })
  const slow: Store = {
    name: store.name,
    list: (folder) => store.list(folder),
    open: (name) => store.open(name),
    remove: (name) => store.remove(name),
    create: async (name, write) => {
      await answers
      return store.create(name, write)
    },
  }
  const way = new WayBack({ store: slow, cluster: 'cluster-a', list })
  await assert.rejects(way.keep(NODE, AT, 500), /did not get 1-102 in time/)
  const forgotten = way.forget()
  answer()
  await forgotten
  assert.deepEqual(await namedPoints(store), [])
})
