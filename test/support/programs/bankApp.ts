/**
 * An application under test that knows nothing of walcast: accounts, transfers and registers in one
 * SQLite database, over HTTP. It opens one handle once the file exists and keeps it for life, while
 * its node changes roles. It reports when it listens.
 *
 *   POST /transfer {id, from, to, amount}  201; 409 and no change when a transfer has that id
 *   POST /register {key, value}            200 {version}: one more than before
 *   GET /accounts                          {balances, sum}, in one read transaction
 *   GET /register/KEY                      {version, value}; version 0 when it was never written
 *   GET /transfers?ids=A,B                 {found}: those of them that exist
 *   GET /about                             {opened, pid}: how often it opened the file
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Database from 'better-sqlite3'
import { optionsOf, say } from './options.ts'

const { path, name, port, busyMs } = optionsOf<{
  path: string
  name: string
  port: number
  /** How long a write waits for SQLite's lock, while the whole application stands still. */
  busyMs: number
}>()
let bank: Bank | undefined
let opened = 0

interface Transfer {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly amount: number
}

class Bank {
  readonly #db: Database.Database
  readonly #find: Database.Statement<[string]>
  readonly #move: Database.Statement<[number, number]>
  readonly #note: Database.Statement<[string, number, number, number]>
  readonly #set: Database.Statement<[string, string]>
  readonly #get: Database.Statement<[string], { version: number; value: string }>
  readonly #all: Database.Statement<[], { balance: number }>

  constructor(file: string) {
    this.#db = new Database(file, { fileMustExist: true, timeout: busyMs })
    this.#find = this.#db.prepare('SELECT 1 FROM transfers WHERE id = ?')
    this.#move = this.#db.prepare('UPDATE accounts SET balance = balance + ? WHERE id = ?')
    this.#note = this.#db.prepare(
      'INSERT INTO transfers (id, "from", "to", amount) VALUES (?, ?, ?, ?)',
    )
    this.#set = this.#db.prepare(
      `INSERT INTO register (key, value, version) VALUES (?, ?, 1)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = version + 1`,
    )
    this.#get = this.#db.prepare('SELECT version, value FROM register WHERE key = ?')
    this.#all = this.#db.prepare('SELECT balance FROM accounts ORDER BY id')
  }

  /** False when there is a transfer with that id already. */
  transfer({ id, from, to, amount }: Transfer): boolean {
    const apply = this.#db.transaction(() => {
      if (this.#find.get(id)) return false
      this.#move.run(-amount, from)
      this.#move.run(amount, to)
      this.#note.run(id, from, to, amount)
      return true
    })
    return apply.immediate()
  }

  set(key: string, value: string): number {
    const apply = this.#db.transaction(() => {
      this.#set.run(key, value)
      return this.#get.get(key)?.version ?? 0
    })
    return apply.immediate()
  }

  get(key: string): { version: number; value: string } {
    return this.#get.get(key) ?? { version: 0, value: '' }
  }

  balances(): number[] {
    return this.#all.all().map(({ balance }) => balance)
  }

  found(ids: readonly string[]): string[] {
    return ids.filter((id) => this.#find.get(id) !== undefined)
  }
}

/** Opened when needed: a replica's copy comes after the application starts. */
function open(): Bank {
  if (!bank) {
    bank = new Bank(path)
    opened++
  }
  return bank
}

async function bodyOf(request: IncomingMessage): Promise<Partial<Record<string, unknown>>> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Object(JSON.parse(Buffer.concat(parts).toString()))
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  const length = String(Buffer.byteLength(body))
  response.writeHead(status, {
    'x-app': name,
    'content-type': 'application/json',
    'content-length': length,
  })
  response.end(body)
}

async function write(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request)
  if (path === '/transfer') {
    const { id, from, to, amount } = body
    const isDone = open().transfer({
      id: String(id),
      from: Number(from),
      to: Number(to),
      amount: Number(amount),
    })
    return send(response, isDone ? 201 : 409, isDone ? { id } : { code: 'APP_KNOWN', id })
  }
  if (path === '/register')
    return send(response, 200, { version: open().set(String(body['key']), String(body['value'])) })
  send(response, 404, { code: 'APP_NO_PATH' })
}

function read(url: URL, response: ServerResponse): void {
  if (url.pathname === '/about') return send(response, 200, { opened, pid: process.pid })
  if (url.pathname === '/accounts') {
    const balances = open().balances()
    return send(response, 200, { balances, sum: balances.reduce((sum, each) => sum + each, 0) })
  }
  if (url.pathname === '/transfers') {
    const ids = (url.searchParams.get('ids') ?? '').split(',')
    return send(response, 200, { found: open().found(ids) })
  }
  const key = /^\/register\/(.+)$/.exec(url.pathname)?.[1]
  if (key === undefined) return send(response, 404, { code: 'APP_NO_PATH' })
  send(response, 200, open().get(decodeURIComponent(key)))
}

/** The first three mean that nothing changed; other failures do not say. */
function fail(error: unknown, response: ServerResponse): void {
  const code = error instanceof Database.SqliteError ? error.code : ''
  const told = { error: String(error) }
  if (code.startsWith('SQLITE_BUSY')) return send(response, 503, { code: 'APP_BUSY', ...told })
  if (code.startsWith('SQLITE_READONLY'))
    return send(response, 503, { code: 'APP_READONLY', ...told })
  // better-sqlite3 has no code for a missing file.
  if (!bank) return send(response, 503, { code: 'APP_NO_DATABASE', ...told })
  send(response, 500, { code: 'APP_FAILED', ...told })
}

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://app')
  const handled = async () => {
    if (request.method === 'POST') await write(url.pathname, request, response)
    else read(url, response)
  }
  handled().catch((error) => fail(error, response))
}).listen(port, '127.0.0.1', () => say({ listening: port }))
