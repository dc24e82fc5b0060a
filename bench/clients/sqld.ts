/**
 * libSQL's server through Hrana over HTTP (POST /v2/pipeline), its client protocol. A client keeps
 * one stream, which is one SQLite connection in the server: a stream for each statement costs half
 * as much time again. `where` is a URL.
 */
import type { Client, ReadClient, WriteClient, WriterOptions } from './client.ts'
import { HttpConnection } from './httpConnection.ts'
import { pagedDigest } from './rowDigest.ts'
import { rowValue } from './values.ts'

/** Integers are text in Hrana, so that they keep their 64 bits. */
type Value =
  | { readonly type: 'integer'; readonly value: string }
  | { readonly type: 'blob'; readonly base64: string }
  | { readonly type: 'null' }

interface Answer {
  readonly baton: string | null
  readonly results: readonly Result[]
}

interface Result {
  readonly error?: { readonly message: string }
  /** An execute has a result, a close has none. */
  readonly response?: { readonly result?: { readonly rows: readonly (readonly Value[])[] } }
}

const PATH = '/v2/pipeline'

export const sqld: Client = { openWriter, openReader, digest }

/** One statement at a time. The server forgets a stream that asks nothing for 10 s. */
export class Stream {
  readonly #connection: HttpConnection
  /** Names the stream to the server; another one with each answer. */
  #baton: string | null = null

  constructor(url: string) {
    this.#connection = new HttpConnection(url)
  }

  /** Rejects when the statement fails. */
  async execute(sql: string, args: readonly Value[] = []): Promise<readonly (readonly Value[])[]> {
    const { response } = await this.#ask({ type: 'execute', stmt: { sql, args } })
    return response?.result?.rows ?? []
  }

  async close(): Promise<void> {
    if (this.#baton) await this.#ask({ type: 'close' })
    this.#connection.close()
  }

  async #ask(request: object): Promise<Result> {
    const body = JSON.stringify({ baton: this.#baton, requests: [request] })
    const answer = JSON.parse(await this.#connection.post(PATH, body)) as Answer
    this.#baton = answer.baton
    const [result] = answer.results
    if (!result || result.error) throw new Error(`sqld: ${result?.error?.message ?? 'no result'}`)
    return result
  }
}

async function openWriter(
  where: string,
  { valueBytes, pages }: WriterOptions,
): Promise<WriteClient> {
  if (pages !== 1) throw new Error('this client writes small commits only')
  const stream = new Stream(where)
  return {
    async insert(id) {
      const value: Value = { type: 'blob', base64: rowValue(id, valueBytes).toString('base64') }
      await stream.execute('INSERT INTO t(id, v) VALUES (?, ?)', [integer(id), value])
    },
    close: () => stream.close(),
  }
}

function openReader(where: string): ReadClient {
  const stream = new Stream(where)
  return {
    async maxId() {
      const [row] = await stream.execute('SELECT max(id) FROM t')
      return numberOf(row?.[0])
    },
    close: () => stream.close(),
  }
}

async function digest(where: string): Promise<string> {
  const stream = new Stream(where)
  const sql = 'SELECT id, v FROM t WHERE id > ? ORDER BY id LIMIT ?'
  const found = await pagedDigest(async (after, limit) => {
    const rows = await stream.execute(sql, [integer(after), integer(limit)])
    return rows.map(([id, value]) => [numberOf(id), bytesOf(value)])
  })
  await stream.close()
  return found
}

const integer = (value: number): Value => ({ type: 'integer', value: String(value) })

/** 0 for anything but an integer: the largest id of an empty table. */
function numberOf(value: Value | undefined): number {
  return value?.type === 'integer' ? Number(value.value) : 0
}

function bytesOf(value: Value | undefined): Buffer | undefined {
  return value?.type === 'blob' ? Buffer.from(value.base64, 'base64') : undefined
}
