/**
 * Turso's embedded database with its sync library. Two ends of one database are two local copies
 * and a server between them. A commit is a commit to the writer's local copy, as everywhere in this
 * bench where replication is asynchronous; a thread beside it pushes without a pause. (An INSERT
 * that waits for its own push takes two requests to the server, about 25 ms.) A row is seen when a
 * reader has pulled and then finds it by a SELECT: one look is both, since only the client can ask.
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { RowDigest } from './rowDigest.ts'
import { openTurso, type TursoDatabase, tursoPlace } from './tursoDatabase.ts'
import type { TursoWriting } from './tursoWriter.ts'

/** Rows fetched at a time by the digest. */
const DIGEST_ROWS = 10_000

export const turso: Client = { openWriter, openReader, digest }

/**
 * The thread goes on pushing while the writer's own sleeps between two rows, which stop its event
 * loop.
 */
async function openWriter(
  where: string,
  { valueBytes, pages }: WriterOptions,
): Promise<WriteClient> {
  if (pages !== 1) throw new Error('this client writes small commits only')
  const workerData: TursoWriting = { where, valueBytes }
  const worker = new Worker(new URL('./tursoWriter.js', import.meta.url), { workerData })
  await once(worker, 'message')
  return {
    async insert(id) {
      worker.postMessage(id)
      await once(worker, 'message')
    },
    async close() {
      worker.postMessage('close')
      await once(worker, 'exit')
    },
  }
}

async function openReader(where: string): Promise<ReadClient> {
  const db = await openCopy(where)
  const select = await db.prepare('SELECT max(id) AS id FROM t')
  return {
    async maxId() {
      await db.pull()
      const row = await select.get()
      return Number(row?.['id'] ?? 0)
    },
    close: () => db.close(),
  }
}

/** A copy can be open in one process only: a second reader makes one of its own. */
async function openCopy(where: string): Promise<TursoDatabase> {
  const place = tursoPlace(where)
  try {
    return await openTurso(place)
  } catch (error) {
    if (!String(error).includes('locked by another process')) throw error
    return openTurso({ ...place, path: `${place.path}-${process.pid}` })
  }
}

/**
 * A digest of the local copy, without asking the server; of the server's content when there is no
 * copy yet.
 */
async function digest(where: string): Promise<string> {
  const { path, url } = tursoPlace(where)
  const db = await openTurso({ path, url: existsSync(path) ? undefined : url })
  const select = await db.prepare('SELECT id, v FROM t WHERE id > ? ORDER BY id LIMIT ?')
  const found = new RowDigest()
  for (let last = 0; ; ) {
    const rows = await select.all(last, DIGEST_ROWS)
    if (rows.length === 0) break
    for (const row of rows) found.add(Number(row['id']), row['v'])
    last = Number(rows.at(-1)?.['id'])
  }
  await db.close()
  return found.hex()
}
