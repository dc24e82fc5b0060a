/**
 * The application of the suite http: one SQLite handle behind node:http, as small as an application
 * can be. `GET /item?id=N` reads a row, `POST /item` changes one in a commit of its own, `POST
 * /nothing` takes and gives the same without a commit. Goes on until it is stopped.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { openForReading, openForWriting } from '../clients/sqlite.ts'
import { Flags, readyThenGo } from './program.ts'

/** SQLite's own. */
const AUTOCHECKPOINT = 1000

const flags = new Flags(['db', 'port', 'access'])
const path = flags.text('db')
const mayWrite = flags.text('access') === 'write'
const db = mayWrite ? openForWriting(path, AUTOCHECKPOINT) : openForReading(path)
const select = db.prepare<[number], { id: number; v: Buffer }>(
  'SELECT id, v FROM lookup WHERE id = ?',
)
// A replica's copy refuses it when it is run.
const update = db.prepare<[number]>('UPDATE lookup SET v = randomblob(100) WHERE id = ?')

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  })
  response.end(body)
}

function readItem(id: number, response: ServerResponse): void {
  const row = select.get(id)
  if (!row) return send(response, 404, { error: 'no such item' })
  send(response, 200, { id: row.id, v: row.v.toString('base64') })
}

async function post(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { id } = Object(JSON.parse(await bodyOf(request))) as Partial<Record<string, unknown>>
  if (typeof id !== 'number') return send(response, 400, { error: 'no id' })
  const found = path === '/item' ? update.run(id).changes === 1 : select.get(id) !== undefined
  send(response, found ? 200 : 404, { id, found })
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://app')
  if (request.method === 'GET' && pathname === '/item')
    return readItem(Number(searchParams.get('id')), response)
  if (request.method === 'POST' && (pathname === '/item' || pathname === '/nothing'))
    return post(pathname, request, response)
  send(response, 404, { error: 'no such path' })
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    send(response, 500, { error: 'it failed' })
  })
})
server.listen(flags.number('port'), '127.0.0.1')
await once(server, 'listening')
await readyThenGo()
