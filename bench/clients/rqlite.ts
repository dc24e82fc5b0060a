/**
 * rqlite through its HTTP API: writes are not queued, reads are of the node that is asked
 * (level=none), which on a follower is its own SQLite database. The value is text of as many bytes:
 * JSON has no blobs. `where` is a URL.
 */
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { HttpConnection } from './httpConnection.ts'
import { pagedDigest } from './rowDigest.ts'
import { rowValue } from './values.ts'

interface Answer {
  /**
   * An error of the whole request. While the node's store is not open, the status is 200 without
   * results.
   */
  readonly error?: string
  readonly results: readonly {
    readonly error?: string
    readonly values?: readonly (readonly unknown[])[]
  }[]
}

/** A statement and its parameters. */
type Statement = readonly [string, ...(number | string)[]]

const EXECUTE = '/db/execute'
const QUERY = '/db/query?level=none'

export const rqlite: Client = { openWriter, openReader, digest }

/** Commits one statement. Rejects when it fails or the node is not the leader. */
export async function execute(connection: HttpConnection, statement: Statement): Promise<void> {
  await ask(connection, EXECUTE, statement)
}

async function ask(
  connection: HttpConnection,
  path: string,
  statement: Statement,
): Promise<readonly (readonly unknown[])[]> {
  const answer = JSON.parse(await connection.post(path, JSON.stringify([statement]))) as Answer
  const [result] = answer.results
  if (!result || result.error) throw new Error(`rqlite: ${result?.error ?? answer.error}`)
  return result.values ?? []
}

function openWriter(where: string, { valueBytes, pages }: WriterOptions): WriteClient {
  if (pages !== 1) throw new Error('this client writes small commits only')
  const connection = new HttpConnection(where)
  // Base64 of fewer bytes: rqlite takes JSON, and the row has the same length.
  const value = (id: number) => rowValue(id, Math.floor((valueBytes * 3) / 4)).toString('base64')
  return {
    insert: (id) => execute(connection, ['INSERT INTO t(id, v) VALUES (?, ?)', id, value(id)]),
    close: () => connection.close(),
  }
}

function openReader(where: string): ReadClient {
  const connection = new HttpConnection(where)
  return {
    async maxId() {
      const [row] = await ask(connection, QUERY, ['SELECT max(id) FROM t'])
      return Number(row?.[0] ?? 0)
    },
    close: () => connection.close(),
  }
}

async function digest(where: string): Promise<string> {
  const connection = new HttpConnection(where)
  const sql = 'SELECT id, v FROM t WHERE id > ? ORDER BY id LIMIT ?'
  const found = await pagedDigest((id, limit) => ask(connection, QUERY, [sql, id, limit]))
  connection.close()
  return found
}
