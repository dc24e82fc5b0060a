/**
 * An application under test that behaves as most do: it boots slowly, then listens on PORT, and
 * ends at once at a signal. It serves counters in a SQLite table over HTTP. As a replica it opens
 * the database read-only and does not reopen it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Database from 'better-sqlite3'
import { WebSocketServer } from 'ws'
import { optionsOf, say } from './options.ts'

interface Options {
  readonly db: string
  readonly name: string
  readonly bootMs: number
  /** PORT when not given. */
  readonly port?: number
  /** WALCAST_ROLE when not given. */
  readonly role?: string
  /** Treats SIGUSR2 as a change of role and asks its node. */
  readonly follows?: boolean
}

const { db, name, bootMs, port = Number(process.env['PORT']), ...more } = optionsOf<Options>()
let role = more.role ?? process.env['WALCAST_ROLE'] ?? 'leader'
let handle: Database.Database | undefined

function open(): Database.Database {
  handle ??= new Database(db, { fileMustExist: true, timeout: 2000, readonly: role !== 'leader' })
  return handle
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request)
  if (request.url === '/check') response.setHeader('walcast-role', role)
  else if (request.method === 'POST') open().prepare('INSERT INTO t (v) VALUES (?)').run(body)
  const { n } = open().prepare('SELECT count(*) AS n FROM t').get() as { n: number }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ name, role, pid: process.pid, port, n }))
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: Error) => {
    response.statusCode = 500
    response.end(JSON.stringify({ error: error.message }))
  })
})
const webSockets = new WebSocketServer({ server })
webSockets.on('connection', (socket) => socket.send(name))
if (more.follows)
  process.on('SIGUSR2', async () => {
    const told = await fetch(`${process.env['WALCAST_NODE_URL']}/leader`)
    role = String(Object(await told.json()).role)
    handle?.close()
    handle = undefined
    say({ follows: role, pid: process.pid })
  })
say({ boots: process.pid, role, port })
setTimeout(
  () => server.listen(port, '127.0.0.1', () => say({ listens: process.pid, role, port })),
  bootMs,
)
