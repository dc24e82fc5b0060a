/**
 * Litestream's VFS, through Python (see pythonConnection.ts): writer and readers are SQLite
 * connections whose pages come from a folder of LTX files. `where` is a SQLite URI. A commit is a
 * COMMIT in the writer's connection, which uploads afterwards, at its sync interval; a row is seen
 * when a reader's SELECT finds it, whose connection looks for new files at its poll interval.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { PythonConnection } from './pythonConnection.ts'

export interface VfsOptions {
  readonly replicaFolder: string
  readonly pollInterval: string
  /** Set for a writer. */
  readonly syncInterval?: string
}

/**
 * Size of the cache of written and read pages, in bytes. A writer finds its uploads only there: a
 * page that left the cache would come back as it was when the database was opened.
 */
const CACHE_BYTES = 256 * 1024 * 1024

export const litestreamVfs: Client = { openWriter, openReader, digest }

export function vfsUri({ replicaFolder, pollInterval, syncInterval }: VfsOptions): string {
  const flags = {
    vfs: 'litestream',
    replica_url: `file://${replicaFolder}`,
    poll_interval: pollInterval,
    cache_size: String(CACHE_BYTES),
    ...(syncInterval && { write_enabled: 'true', sync_interval: syncInterval }),
  }
  const query = Object.entries(flags).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return `file:bench.db?${query.join('&')}`
}

/** What the writer's connection held when it was closed. */
const digestPath = (folder: string) => `${folder}.sha256`

export function openPython(where: string): Promise<PythonConnection> {
  const folder = replicaFolder(where)
  return PythonConnection.open(where, dirname(folder ?? fileURLToPath(where)))
}

/** Undefined for a URI of an ordinary file. */
function replicaFolder(where: string): string | undefined {
  const url = new URLSearchParams(where.slice(where.indexOf('?') + 1)).get('replica_url')
  return url ? fileURLToPath(url) : undefined
}

const isWriter = (where: string) => where.includes('write_enabled')

async function openWriter(
  where: string,
  { valueBytes, pages }: WriterOptions,
): Promise<WriteClient> {
  if (pages !== 1) throw new Error('this client writes small commits only')
  const python = await openPython(where)
  const folder = replicaFolder(where)
  // A journal on disk would not help: pages that are not uploaded are lost with the process.
  const settings = folder ? ['PRAGMA journal_mode = MEMORY'] : ['PRAGMA synchronous = NORMAL']
  await python.ask({ op: 'run', sql: settings })
  await python.ask({ op: 'beginWriting', valueBytes })
  return {
    async insert(id) {
      await python.ask({ op: 'insert', id })
    },
    async close() {
      if (folder) {
        const free = await python.ask({ op: 'number', sql: 'PRAGMA freelist_count' })
        if (free === 0) throw new Error('the database had to grow, which this VFS does not survive')
        writeFileSync(digestPath(folder), String(await python.ask({ op: 'digest' })))
      }
      await python.close()
    },
  }
}

async function openReader(where: string): Promise<ReadClient> {
  const python = await openPython(where)
  return {
    maxId: async () => Number(await python.ask({ op: 'number', sql: 'SELECT max(id) FROM t' })),
    close: () => python.close(),
  }
}

/** A writer has no file: its content is known from its last look, just before it closed. */
async function digest(where: string): Promise<string> {
  const folder = replicaFolder(where)
  if (folder && isWriter(where)) return readFileSync(digestPath(folder), 'utf8')
  const python = await openPython(where)
  const found = await python.ask({ op: 'digest' })
  await python.close()
  return String(found)
}
