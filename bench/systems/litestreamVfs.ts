/**
 * Litestream 0.5 by its VFS: a writer that uploads LTX files to a folder (the VFS's experimental
 * write mode: the program that replicates an ordinary file is not among the npm packages), and
 * readers that page from there. At its standard intervals of a second, and at 10 ms.
 *
 * The write mode cannot make the file longer: after an upload it takes the database to be as long
 * as it was at its opening, and SQLite finds it malformed at the next INSERT that needs a page. So
 * the database begins with free pages, which is enough for ordinary INSERTs. Nor may a writer look
 * for the files of others: that brings back older images of its own pages, and rows were lost. So
 * its poll interval is longer than any measurement.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openPython, vfsUri } from '../clients/litestreamVfs.ts'
import { findPython, vfsFile } from '../clients/pythonConnection.ts'
import { installPackages, NotAvailable } from '../install.ts'
import type { Place, RunningSystem, Setup, System } from '../system.ts'
import { makeDatabase, verifySame } from './content.ts'
import { whenShown } from './peer.ts'

/** Free pages at the beginning, of 4 KB: enough for some 250 000 small rows. */
const FREE_PAGES = 8000
const NEVER = '1h'

export const litestreamVfs = system('litestream-vfs', '1s')
export const litestreamVfsFast = system('litestream-vfs-10ms', '10ms')

const plainPath = (setup: Setup) => join(setup.folder, 'primary.db')
const replicaFolder = (setup: Setup) => join(setup.folder, 'replica')

function system(name: string, interval: string): System {
  return {
    name,
    hasPages: false,
    install,
    async prepare(setup, kind, megabytes) {
      await makeDatabase(setup, plainPath(setup), kind, megabytes)
      mkdirSync(replicaFolder(setup))
      await makeReplicated(replicaFolder(setup))
    },
    /** The same client on an ordinary file. */
    async startAlone(setup) {
      return { nodes: [], primary: place(pathToFileURL(plainPath(setup)).href), async stop() {} }
    },
    start: (setup) => start(setup, interval),
  }
}

async function install(progress: (text: string) => void): Promise<void> {
  await installPackages(progress)
  try {
    vfsFile()
  } catch {
    throw new NotAvailable(
      `litestream-vfs has no extension for ${process.platform}-${process.arch}`,
    )
  }
  if (!(await findPython())) throw new NotAvailable('no python3 here loads extensions into SQLite')
}

const place = (where: string): Place => ({ client: 'litestream-vfs', where })

/**
 * Opened anew for each step, since the writer knows the length of the database from its opening.
 */
async function makeReplicated(folder: string): Promise<void> {
  const uri = vfsUri({ replicaFolder: folder, pollInterval: NEVER, syncInterval: NEVER })
  const numbers = `WITH RECURSIVE n(i) AS (
    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${FREE_PAGES})`
  const steps = [
    [
      'BEGIN',
      'CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)',
      'CREATE TABLE filler(v BLOB)',
      `${numbers} INSERT INTO filler SELECT zeroblob(4000) FROM n`,
      'COMMIT',
    ],
    ['DROP TABLE filler'],
  ]
  for (const sql of steps) {
    const python = await openPython(uri)
    await python.ask({ op: 'run', sql })
    await python.close()
  }
}

async function start(setup: Setup, interval: string): Promise<RunningSystem> {
  const folder = replicaFolder(setup)
  const primary = place(
    vfsUri({ replicaFolder: folder, pollInterval: NEVER, syncInterval: interval }),
  )
  const reader = place(vfsUri({ replicaFolder: folder, pollInterval: interval }))
  const replicas = Array.from({ length: setup.replicas }, () => reader)
  return {
    // There is no server: the work is done in the writer's and in each reader's process.
    nodes: [],
    primary,
    replicas,
    whenLevel: (id, timeoutMs) => whenShown(replicas, id, timeoutMs),
    figures: async () => ({}),
    verify: () => verifySame(setup, [primary, ...replicas]),
    async stop() {},
  }
}
