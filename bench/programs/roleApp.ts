/**
 * The application of the suite switchover: one SQLite handle behind node:http that stays open
 * through every change of its node's role, opened once the file is there. `POST /row {id}` inserts
 * a row in a commit of its own (409 when it is there, 503 when SQLite is busy), `GET /row` tells
 * the largest id. Goes on until it is stopped.
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Database from 'better-sqlite3'
import { openForWriting } from '../clients/sqlite.ts'
import { Flags, readyThenGo } from './program.ts'

/** SQLite's own. */
const AUTOCHECKPOINT = 1000

const flags = new Flags(['db', 'port'])
const path = flags.text('db')
let rows: Rows | undefined

class Rows {
  readonly #insert: Database.Statement<[number]>
  readonly #last: Database.Statement<[], number>

  constructor() {
    const db = openForWriting(path, AUTOCHECKPOINT)
    this.#insert = db.prepare('INSERT INTO t(id, v) VALUES (?, randomblob(100))')
    this.#last = db.prepare<[], number>('SELECT ifnull(max(id), 0) FROM t').pluck()
  }

  insert(id: number): void {
    this.#insert.run(id)
  }

  last(): number {
    return this.#last.get() ?? 0
  }
}

function opened(): Rows | undefined {
  // SQLite would make an empty database where the first copy is to be.
  if (!rows && existsSync(path)) rows = new Rows()
  return rows
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const known = opened()
  if (!known) return send(response, 503, { error: 'there is no database yet' })
  if (request.method !== 'POST') return send(response, 200, { id: known.last() })
  let text = ''
  for await (const chunk of request) text += chunk
  const id = Number(Object(JSON.parse(text)).id)
  known.insert(id)
  send(response, 201, { id })
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  const length = String(Buffer.byteLength(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length })
  response.end(body)
}

function statusOf(error: unknown): number {
  const code = error instanceof Database.SqliteError ? error.code : ''
  if (code.startsWith('SQLITE_CONSTRAINT')) return 409
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_READONLY') ? 503 : 500
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) =>
    send(response, statusOf(error), { error: String(error) }),
  )
})
server.listen(flags.number('port'), '127.0.0.1')
await once(server, 'listening')
await readyThenGo()
