/**
 * Redis through ioredis. One commit is one RPUSH to a list, so that its length is the largest id.
 * `where` is a URL.
 */
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { importPeer } from './peerPackage.ts'
import { RowDigest } from './rowDigest.ts'
import { rowValue } from './values.ts'

interface RedisClient {
  on(event: 'error', listener: () => void): void
  connect(): Promise<void>
  rpush(key: string, value: Buffer): Promise<number>
  llen(key: string): Promise<number>
  lrangeBuffer(key: string, from: number, to: number): Promise<readonly Buffer[]>
  quit(): Promise<unknown>
}

interface Ioredis {
  readonly default: {
    readonly Redis: new (
      url: string,
      options: { readonly lazyConnect: true; readonly retryStrategy: () => null },
    ) => RedisClient
  }
}

const KEY = 't'
const DIGEST_ROWS = 10_000

export const redis: Client = { openWriter, openReader, digest }

async function connect(where: string): Promise<RedisClient> {
  const { Redis } = (await importPeer<Ioredis>('ioredis')).default
  const client = new Redis(where, { lazyConnect: true, retryStrategy: () => null })
  // Commands report their own errors; this event would only be printed.
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
  return {
    async insert(id) {
      await client.rpush(KEY, rowValue(id, valueBytes))
    },
    async close() {
      await client.quit()
    },
  }
}

async function openReader(where: string): Promise<ReadClient> {
  const client = await connect(where)
  return {
    maxId: () => client.llen(KEY),
    async close() {
      await client.quit()
    },
  }
}

async function digest(where: string): Promise<string> {
  const client = await connect(where)
  const found = new RowDigest()
  for (let from = 0; ; from += DIGEST_ROWS) {
    const values = await client.lrangeBuffer(KEY, from, from + DIGEST_ROWS - 1)
    if (values.length === 0) break
    found.add(...values)
  }
  await client.quit()
  return found.hex()
}
