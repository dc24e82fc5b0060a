/**
 * Restores the newest position of an archive in a folder as `walcast restore` does, and tells where
 * the time goes. Phases follow each other, but for `readMs` and `checksumMs`, which are parts of
 * `pagesMs`: the sum of all waits for the store, which overlap with work, and the number of pages
 * by the time that one checksum takes here.
 */
import { Archive } from '../../src/backup/archive.ts'
import { ArchiveRestore } from '../../src/backup/archiveRestore.ts'
import { clusterArchive } from '../../src/backup/restoreTarget.ts'
import { openStore } from '../../src/backup/stores/openStore.ts'
import type { OpenObject, Store } from '../../src/backup/stores/store.ts'
import { type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { checkIntegrity } from '../../src/sqlite/integrityCheck.ts'
import { pageSum } from '../../src/sqlite/pageSums.ts'
import { Flags, report } from './program.ts'

const CHECKSUMS = 20_000
const flags = new Flags(['from', 'to'])
const spentMs = { read: 0, write: 0, sync: 0 }

async function timed<T>(phase: keyof typeof spentMs, what: () => Promise<T>): Promise<T> {
  const fromMs = performance.now()
  try {
    return await what()
  } finally {
    spentMs[phase] += performance.now() - fromMs
  }
}

const ops: FileOps = {
  ...systemFileOps,
  writeAside: (...args) => timed('write', () => systemFileOps.writeAside(...args)),
  syncAside: (...args) => timed('sync', () => systemFileOps.syncAside(...args)),
}

function timedStore(store: Store): Store {
  const timedObject = (object: OpenObject): OpenObject => ({
    name: object.name,
    bytes: object.bytes,
    read: (at, bytes) => timed('read', () => object.read(at, bytes)),
    close: () => object.close(),
  })
  return {
    name: store.name,
    list: (prefix) => store.list(prefix),
    open: async (name) => timedObject(await store.open(name)),
    create: (name, write) => store.create(name, write),
    remove: (name) => store.remove(name),
  }
}

function checksumMsOf(pages: number, pageSize: number): number {
  const page = Buffer.alloc(pageSize, 1)
  const fromMs = performance.now()
  for (let i = 0; i < CHECKSUMS; i++) pageSum(i, page)
  return ((performance.now() - fromMs) / CHECKSUMS) * pages
}

const store = timedStore(await openStore(flags.text('from'), ops))
let positions = 0
let integrityMs = 0
let plannedMs = 0
const beganMs = performance.now()
const run = new ArchiveRestore({
  wanted: {},
  isAsFarAsPossible: false,
  list: async (bad) => clusterArchive(await Archive.list(store), undefined, bad),
})
const restored = await run.run(
  flags.text('to'),
  {
    onPosition: () => {
      positions++
    },
    async approve(side) {
      const fromMs = performance.now()
      const { outcome } = await checkIntegrity(side)
      integrityMs = performance.now() - fromMs
      if (outcome !== 'ok') throw new Error(`the integrity check says ${outcome}`)
    },
  },
  ops,
  () => {
    plannedMs = performance.now()
  },
)
const totalMs = performance.now() - beganMs
const planMs = plannedMs - beganMs
const { read: readMs, write: writeMs, sync: syncMs } = spentMs

const archive = await Archive.list(store)
const plan = await run.plan()
let [snapshotPages, changedPages] = [0, 0]
for (const { name } of plan.files) {
  const pages = await archive.use(name, async ({ points }) =>
    points.reduce((sum, { pageNumbers }) => sum + pageNumbers.length, 0),
  )
  if (name.kind === 'snapshot') snapshotPages += pages
  else changedPages += pages
}
report({
  ...{ planMs, readMs, writeMs, syncMs, integrityMs, totalMs },
  pagesMs: totalMs - planMs - writeMs - syncMs - integrityMs,
  checksumMs: checksumMsOf(snapshotPages + changedPages, restored.pageSize),
  ...{ positions, files: plan.files.length, archiveBytes: plan.bytes },
  changedBytes: changedPages * restored.pageSize,
  databaseBytes: restored.pages * restored.pageSize,
})
