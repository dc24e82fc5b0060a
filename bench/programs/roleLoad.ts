/**
 * Clients of the suite switchover: so many that write and as many that read, each asking one thing
 * at a time on connections kept alive, the proxies in turn, on a schedule of its own; what a slow
 * answer made it miss is left out, not made up for. From the first `go` to the second; then it
 * writes what it asked and was told into a file: a JSON array of [kind, begin, end, status, id]
 * each, in ms of the machine's monotonic clock. Status 0: no answer came.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'undici'
import { type Asked, nowMs } from '../roleLog.ts'
import { Flags, readyThenGo, report, sayThenGo } from './program.ts'

/** Of writes that wait for a leader, and then some. */
const TIMEOUT_MS = 40_000
const MAX_REQUESTS = 2_000_000

const flags = new Flags(['doors', 'clients', 'rate', 'log'])
const doors: readonly string[] = JSON.parse(flags.text('doors'))
const clients = flags.number('clients')
const periodMs = (1000 * clients) / flags.number('rate')
const asked: Asked[] = []
let lastId = 0
let isOver = false

async function run(kind: Asked[0], number: number): Promise<void> {
  const connections = doors.map(
    (door) => new Client(door, { pipelining: 1, keepAliveTimeout: 60_000 }),
  )
  // Spreads the clients over time.
  const startMs = nowMs() + (periodMs * number) / clients
  let cookie = ''
  for (let turn = 0; !isOver; turn++) {
    const dueMs = startMs + turn * periodMs
    const waitMs = dueMs - nowMs()
    if (waitMs < -periodMs) continue
    if (waitMs > 0) await delay(waitMs)
    if (asked.length >= MAX_REQUESTS) throw new Error(`more than ${MAX_REQUESTS} requests`)
    cookie = (await ask(kind, connections[(number + turn) % connections.length], cookie)) ?? cookie
  }
  await Promise.all(connections.map((connection) => connection.destroy()))
}

/** Returns the cookie of the answer. */
async function ask(
  kind: Asked[0],
  connection: Client,
  cookie: string,
): Promise<string | undefined> {
  const isWrite = kind === 'write'
  const id = isWrite ? ++lastId : 0
  const beginMs = nowMs()
  let status = 0
  let renewed: string | undefined
  try {
    const answer = await connection.request({
      path: '/row',
      method: isWrite ? 'POST' : 'GET',
      headers: {
        ...(cookie ? { cookie } : {}),
        ...(isWrite ? { 'content-type': 'application/json' } : {}),
      },
      body: isWrite ? JSON.stringify({ id }) : null,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    })
    await answer.body.dump()
    status = answer.statusCode
    const lines = [answer.headers['set-cookie'] ?? []].flat()
    renewed = lines.find((line) => line.startsWith('walcast_position='))?.split(';', 1)[0]
  } catch {
    // No status: the outcome is unknown.
  }
  asked.push([kind, beginMs, nowMs(), status, id])
  return renewed
}

await readyThenGo()
const running = Promise.all(
  Array.from({ length: clients }, (_, i) => [run('write', i), run('read', i)]).flat(),
)
await Promise.race([sayThenGo('running'), running])
isOver = true
await running
const out = createWriteStream(flags.text('log'))
out.end(JSON.stringify(asked))
await once(out, 'close')
report({ requests: asked.length })
