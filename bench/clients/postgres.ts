/** PostgreSQL through node-postgres. `where` is a libpq connection string. */
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { importPeer } from './peerPackage.ts'
import { pagedDigest } from './rowDigest.ts'
import { rowValue } from './values.ts'

interface Query {
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
}

interface PgClient {
  on(event: 'error', listener: () => void): void
  connect(): Promise<void>
  query(query: Query): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
  end(): Promise<void>
}

interface Pg {
  readonly default: { readonly Client: new (connectionString: string) => PgClient }
}

export const postgres: Client = { openWriter, openReader, digest }

export async function connect(where: string): Promise<PgClient> {
  const pg = await importPeer<Pg>('pg')
  const client = new pg.default.Client(where)
  // A lost server fails the next query; an unhandled event would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}

async function openWriter(
  where: string,
  { valueBytes, pages }: WriterOptions,
): Promise<WriteClient> {
  if (pages !== 1) throw new Error('this client writes small commits only')
  const client = await connect(where)
  const insert = { name: 'insert', text: 'INSERT INTO t(id, v) VALUES ($1, $2)' }
  return {
    async insert(id) {
      await client.query({ ...insert, values: [id, rowValue(id, valueBytes)] })
    },
    close: () => client.end(),
  }
}

async function openReader(where: string): Promise<ReadClient> {
  const client = await connect(where)
  const select = { name: 'look', text: 'SELECT max(id) AS id FROM t' }
  return {
    async maxId() {
      const { rows } = await client.query(select)
      return Number(rows[0]?.['id'] ?? 0)
    },
    close: () => client.end(),
  }
}

async function digest(where: string): Promise<string> {
  const client = await connect(where)
  const text = 'SELECT id, v FROM t WHERE id > $1 ORDER BY id LIMIT $2'
  const found = await pagedDigest(async (id, limit) => {
    const { rows } = await client.query({ text, values: [id, limit] })
    return rows.map((row) => [Number(row['id']), row['v']])
  })
  await client.end()
  return found
}
