/** Reports of a change of role: real shell commands, a real HTTP server, a bounded queue. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { Metrics } from '../../src/health/metrics.ts'
import { HookQueue } from '../../src/notify/hookQueue.ts'
import { type RoleChange, type RoleHookOptions, RoleHooks } from '../../src/notify/roleHooks.ts'
import { signatureOf } from '../../src/notify/webhook.ts'
import { nodeUrl } from '../../src/options/address.ts'
import { parseValue } from '../../src/options/optionValues.ts'
import { until } from '../support/until.ts'

/** Against hanging. Long, because a busy machine is slow. */
const TIMEOUT_MS = 600_000

function change(txid: number, more: Partial<RoleChange> = {}): RoleChange {
  return {
    at: '2026-11-22T18:00:00.000Z',
    node: 'node-a',
    role: 'leader',
    was: 'replica',
    epoch: 4,
    txid,
    leader: '10.0.0.1:8470',
    reason: 'promoted by ann@desk',
    ...more,
  }
}

interface Logged {
  readonly level: number
  readonly msg: string
  readonly code?: number
  readonly signal?: string
  readonly failure?: string
  readonly output?: string
  readonly status?: number
  readonly attempts?: number
}

function setUp(t: TestContext, more: Partial<RoleHookOptions>) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-hooks-'))
  const lines: Logged[] = []
  const texts: string[] = []
  const log = pino(
    { level: 'info' },
    {
      write(line: string) {
        texts.push(line)
        lines.push(JSON.parse(line))
      },
    },
  )
  const hooks = new RoleHooks({
    command: undefined,
    webhook: undefined,
    timeoutMs: 20_000,
    webhookKey: () => undefined,
    db: '/srv/app.db',
    nodeUrl: 'http://127.0.0.1:8470',
    log,
    environment: { PATH: process.env['PATH'], FOLDER: folder },
    retry: { attempts: 3, minMs: 1, maxMs: 5 },
    stopGraceMs: 20_000,
    ...more,
  })
  t.after(async () => {
    await hooks.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { hooks, lines, texts, folder }
}

/**
 * A server that answers each request with the next status, and repeats the last one. It keeps the
 * requests.
 */
async function receiver(t: TestContext, answer: (response: ServerResponse, nth: number) => void) {
  const got: { readonly request: IncomingMessage; readonly body: string }[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    got.push({ request, body: Buffer.concat(chunks).toString('utf8') })
    answer(response, got.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hooks/private-token?x=1`, got }
}

test('the command has the change in its environment, and no secrets', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, lines, folder } = setUp(t, {
    command: 'env > "$FOLDER/env"; echo moved the address; echo and the name >&2',
    environment: {
      PATH: process.env['PATH'],
      WALCAST_SECRET: 'a secret of twenty chars',
      WALCAST_SECRET_FILE: '/secret',
      WALCAST_ELECTION_PASSWORD: 'of etcd',
      WALCAST_ELECTION_PASSWORD_FILE: '/password',
      WALCAST_WEBHOOK: 'http://x/private',
      WALCAST_LISTEN: '0.0.0.0:1',
      get FOLDER() {
        return folder
      },
    },
  })
  hooks.notify(change(17, { reason: 'a\0b' }))
  await hooks.stop()
  const variables = readFileSync(join(folder, 'env'), 'utf8').split('\n')
  const ours = variables.filter((line) => line.startsWith('WALCAST_')).sort()
  assert.deepEqual(ours, [
    'WALCAST_DB=/srv/app.db',
    'WALCAST_EPOCH=4',
    'WALCAST_LEADER=10.0.0.1:8470',
    'WALCAST_LISTEN=0.0.0.0:1',
    'WALCAST_NODE=node-a',
    'WALCAST_NODE_URL=http://127.0.0.1:8470',
    'WALCAST_POSITION=4-17',
    'WALCAST_REASON=ab',
    'WALCAST_ROLE=leader',
    'WALCAST_TXID=17',
    'WALCAST_WAS=replica',
  ])
  assert.deepEqual(
    lines.map(({ level, code, output }) => ({ level, code, output })),
    [{ level: 30, code: 0, output: 'moved the address and the name' }],
  )
})

test('commands run one at a time, in the order of the changes', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, folder } = setUp(t, {
    command: [
      'mkdir "$FOLDER/lock" || exit 9',
      'echo $WALCAST_TXID >> "$FOLDER/list"; sleep 0.05; rmdir "$FOLDER/lock"',
    ].join('\n'),
  })
  for (let txid = 1; txid <= 8; txid++) hooks.notify(change(txid))
  await hooks.stop()
  assert.equal(readFileSync(join(folder, 'list'), 'utf8'), '1\n2\n3\n4\n5\n6\n7\n8\n')
})

test('a failed command is logged with its status and the end of its output', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, lines } = setUp(t, {
    command: [
      'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done',
      'printf "\\033[31mno such address"; exit 3',
    ].join('\n'),
  })
  hooks.notify(change(1))
  await hooks.stop()
  const [{ level, code, output = '' }] = lines
  assert.deepEqual([level, code], [50, 3])
  assert.match(output, /line 2999 {1,2}\[31mno such address$/)
  assert.ok(output.length <= 2048)
})

test('a command over its time limit ends with everything that it started', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, lines, folder } = setUp(t, {
    // A child that ignores SIGTERM, and a shell that does not.
    command: [
      '(trap "" TERM; echo $$ > "$FOLDER/up"; while :; do sleep 0.1; done) &',
      'echo $! > "$FOLDER/pid"; wait',
    ].join('\n'),
    timeoutMs: 300,
  })
  hooks.notify(change(1))
  await until('the command has ended', () => lines.length > 0)
  assert.match(lines[0].failure ?? '', /took over 300 ms/)
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  await until('what it started has ended', () => !isAlive(pid))
})

test('a process left behind on purpose goes on and delays nothing', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, lines, folder } = setUp(t, {
    command: 'sleep 300 & echo $! > "$FOLDER/pid"; echo started',
  })
  hooks.notify(change(1))
  await hooks.stop()
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  assert.deepEqual([lines[0].code, lines[0].output, isAlive(pid)], [0, 'started', true])
  process.kill(pid, 'SIGKILL')
})

test('a stop waits, then ends the running command and drops the waiting ones', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const metrics = new Metrics(false)
  const { hooks, lines, folder } = setUp(t, {
    command: 'echo $WALCAST_TXID >> "$FOLDER/list"; exec sleep 300',
    stopGraceMs: 50,
    onDropped: metrics.notices().onHookDropped,
  })
  for (const txid of [1, 2, 3]) hooks.notify(change(txid))
  await until('the first command runs', () => existsSync(join(folder, 'list')))
  await hooks.stop()
  assert.equal(readFileSync(join(folder, 'list'), 'utf8'), '1\n')
  assert.deepEqual(
    lines.map(({ msg }) => /not run/.test(msg)),
    [true, true, false],
  )
  assert.match(lines[2].failure ?? '', /the node stops/)
  hooks.notify(change(4))
  assert.match(lines[3].msg, /not run/)
  assert.match(
    await metrics.registry.metrics(),
    /^walcast_hook_notices_dropped_total\{hook="command"\} 3$/m,
  )
})

test('a command that cannot start is a failure and no exception', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { hooks, lines } = setUp(t, { command: '/no/such/program' })
  hooks.notify(change(1))
  await hooks.stop()
  assert.deepEqual([lines[0].level, lines[0].code], [50, 127])
})

test('any sequence runs in order, always runs the newest, and bounds what waits', async () => {
  const arrivals = fc.array(fc.oneof(fc.constant('push'), fc.constant('finish')), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 4 }), async (steps, maxWaiting) => {
      const ran: number[] = []
      const dropped: number[] = []
      let finish = () => {}
      const queue = new HookQueue<number>({
        maxWaiting,
        run(item) {
          ran.push(item)
          return new Promise((resolve) => {
            finish = resolve
          })
        },
        onDropped: (item) => dropped.push(item),
      })
      let next = 0
      for (const step of steps) {
        if (step === 'push') queue.push(++next)
        else finish()
        await new Promise(setImmediate)
        assert.ok(next - ran.length - dropped.length <= maxWaiting)
      }
      const stopped = queue.stop(2 ** 30)
      while (ran.length + dropped.length < next) {
        finish()
        await new Promise(setImmediate)
      }
      finish()
      await stopped
      assert.deepEqual(
        ran,
        [...ran].sort((a, b) => a - b),
      )
      assert.deepEqual(
        [...ran, ...dropped].sort((a, b) => a - b),
        Array.from({ length: next }, (_, i) => i + 1),
      )
      if (next > 0) assert.equal(ran.at(-1), next)
    }),
    { numRuns: 60 },
  )
})

test('the webhook gets the change as JSON, signed', { timeout: TIMEOUT_MS }, async (t) => {
  const { url, got } = await receiver(t, (response) => response.writeHead(204).end())
  const key = 'ab'.repeat(32)
  const { hooks, lines, texts } = setUp(t, { webhook: url, webhookKey: () => key })
  hooks.notify(change(1))
  hooks.notify(change(2))
  await hooks.stop()
  assert.deepEqual(
    got.map(({ body }) => JSON.parse(body)),
    [change(1), change(2)],
  )
  for (const { request, body } of got) {
    assert.equal(request.method, 'POST')
    assert.equal(request.url, '/hooks/private-token?x=1')
    assert.equal(request.headers['content-type'], 'application/json')
    assert.equal(request.headers['walcast-signature'], signatureOf(key, body))
    assert.equal(request.headers['authorization'], undefined)
  }
  assert.deepEqual(
    lines.map(({ level, status, attempts }) => [level, status, attempts]),
    [
      [30, 204, 1],
      [30, 204, 1],
    ],
  )
  for (const text of texts) assert.doesNotMatch(text, /private-token|twenty/)
})

test('the signature is the usual HMAC-SHA256', () => {
  assert.equal(
    signatureOf('key', 'The quick brown fox jumps over the lazy dog'),
    'sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8',
  )
})

test('without a secret nothing is signed; a failed notice is retried before the next', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { url, got } = await receiver(t, (response, nth) => {
    if (nth === 1) return response.socket?.destroy()
    response.writeHead(nth === 2 ? 503 : 200).end('x'.repeat(200_000))
  })
  const { hooks, lines } = setUp(t, { webhook: url })
  hooks.notify(change(1))
  hooks.notify(change(2))
  await hooks.stop()
  assert.deepEqual(
    got.map(({ body }) => JSON.parse(body).txid),
    [1, 1, 1, 2],
  )
  assert.equal(got[0].request.headers['walcast-signature'], undefined)
  assert.deepEqual(
    lines.map(({ attempts, status }) => [attempts, status]),
    [
      [3, 200],
      [1, 200],
    ],
  )
})

test('attempts are bounded, and a final status is not retried', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { url, got } = await receiver(t, (response, nth) =>
    response.writeHead(nth > 3 ? 404 : 500, { location: '/elsewhere' }).end(),
  )
  const { hooks, lines } = setUp(t, { webhook: url })
  hooks.notify(change(1))
  hooks.notify(change(2))
  await hooks.stop()
  assert.deepEqual(
    got.map(({ body }) => JSON.parse(body).txid),
    [1, 1, 1, 2],
  )
  assert.deepEqual(
    lines.map(({ level, attempts, status }) => [level, attempts, status]),
    [
      [50, 3, 500],
      [50, 1, 404],
    ],
  )
})

test('an address that never answers delays neither the node nor the command', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { url, got } = await receiver(t, () => {})
  const dropped: string[] = []
  const onDropped = (hook: string) => void dropped.push(hook)
  const { hooks, lines } = setUp(t, {
    webhook: url,
    command: 'echo ran',
    stopGraceMs: 500,
    onDropped,
  })
  hooks.notify(change(1))
  await until('the POST has arrived', () => got.length === 1)
  await until('the command has run', () => lines.length === 1)
  await hooks.stop()
  assert.match(lines[1].failure ?? '', /the node stops/)
  hooks.notify(change(2))
  assert.deepEqual(dropped, ['command', 'webhook'])
})

test('a webhook URL may have a query but no user, and errors do not repeat it', () => {
  for (const url of ['https://ops.example/a?token=b', 'http://127.0.0.1:1'])
    assert.equal(parseValue('webhook', 'webhook', url), url)
  for (const url of [
    '',
    'ops',
    'ftp://x',
    'http://me:hidden@x',
    'http://hidden@x',
    'https://x/#hidden',
  ])
    assert.throws(
      () => parseValue('webhook', 'webhook', url),
      ({ key, message }) => key === 'USAGE' && !message.includes('hidden'),
    )
  assert.equal(parseValue('on-role-change', 'command', 'a "b" | c\nd'), 'a "b" | c\nd')
  for (const command of ['', ' \n', 'a\0b', 'x'.repeat(5000)])
    assert.throws(() => parseValue('on-role-change', 'command', command), { key: 'USAGE' })
})

test('the command reaches a node that listens everywhere on loopback', () => {
  for (const [listen, url] of [
    ['127.0.0.1:1', 'http://127.0.0.1:1'],
    ['0.0.0.0:8470', 'http://127.0.0.1:8470'],
    ['[::]:8470', 'http://[::1]:8470'],
    ['db.example:80', 'http://db.example:80'],
  ])
    assert.equal(nodeUrl(listen), url)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie does not count.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
