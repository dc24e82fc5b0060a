/** The way back: a name for a position that the archive restores, or an error. */
import assert from 'node:assert/strict'
import { Archive } from '../../src/backup/archive.ts'
import { clusterArchive } from '../../src/backup/restoreTarget.ts'
import { namedPoints } from '../../src/backup/retention/namedPoints.ts'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { WayBack } from '../../src/backup/wayBack.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { type FolderFile, writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { labTest } from '../support/lab.ts'

const PAGE_SIZE = 512
const NODE = 'node-a'

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
  assert.equal(await kept, 'before-restore-1-102')
  // Another state of the same number is not the one before.
  await assert.rejects(way.keep(NODE, at(102, '9999999999999999'), 0), late)
  const names = (await namedPoints(store)).map(({ name, txid }) => [name, txid])
  assert.deepEqual(names, [['before-restore-1-102', 102]])
  await way.forget()
  assert.deepEqual(await namedPoints(store), [])
})
