/**
 * An application under test that knows nothing of walcast: notes in a SQLite table, over HTTP.
 * Prints its port when it listens.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Database from 'better-sqlite3'
import { optionsOf, say } from './options.ts'

const { path, name, port } = optionsOf<{ path: string; name: string; port: number }>()
let db: Database.Database | undefined
let requests = 0

/** Opened when needed: a replica's copy comes after the application starts. */
function open(): Database.Database {
  db ??= new Database(path, { fileMustExist: true, timeout: 2000 })
  return db
}

const textOf = async (request: IncomingMessage) => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

function send(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify(value)
  const all = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }
  response.writeHead(status, { 'x-app': name, ...all })
  response.end(body)
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://app')
  if (url.pathname === '/requests') return send(response, 200, { requests })
  requests++
  if (request.method === 'POST' && url.pathname === '/notes') {
    const body = await textOf(request)
    const id = open().prepare('INSERT INTO notes (body) VALUES (?)').run(body).lastInsertRowid
    return send(
      response,
      201,
      { id: Number(id), by: name },
      { location: `/notes/${id}`, 'x-custom': 'as it was' },
    )
  }
  if (request.method === 'POST' && url.pathname === '/slow') {
    const body = await textOf(request)
    await new Promise((resolve) => setTimeout(resolve, Number(url.searchParams.get('ms') ?? 300)))
    open().prepare('INSERT INTO notes (body) VALUES (?)').run(body)
    return send(response, 201, { by: name })
  }
  if (url.pathname === '/note') {
    const row = open()
      .prepare('SELECT id FROM notes WHERE body = ?')
      .get(url.searchParams.get('body'))
    return send(response, row ? 200 : 404, { found: row !== undefined })
  }
  const newest = open()
    .prepare('SELECT ifnull(max(id), 0) AS newest, count(*) AS count FROM notes')
    .get()
  return send(response, 200, { ...Object(newest), by: name })
}

createServer((request, response) => {
  handle(request, response).catch((error) => send(response, 500, { error: String(error) }))
}).listen(port, '127.0.0.1', () => say({ listening: port }))
