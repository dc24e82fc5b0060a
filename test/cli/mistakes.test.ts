/**
 * Mistyped commands and wrong addresses, as processes: each ends in one line that says what
 * happened and what to do.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { askNode } from '../../src/cli/nodeClient.ts'
import { addressTarget } from '../../src/cli/nodeTarget.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const LEADER = '{"role":"leader"}'
const HTML = '<!doctype html>\n<title>Welcome\u001b[2J to \u202enginx</title>'
/** How many commands run at once. */
const AT_ONCE = 4

type AtEnd = (end: () => void) => void

async function listening(server: Server, atEnd: AtEnd): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const http = (atEnd: AtEnd, answer: RequestListener) => listening(createHttpServer(answer), atEnd)
const tcp = (atEnd: AtEnd, onSocket: (socket: Socket) => void) =>
  listening(createServer(onSocket), atEnd)

const answering =
  (
    status: number,
    type: string,
    body: string,
    headers: Record<string, string> = {},
  ): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': type, ...headers }).end(body)

/** Writes until the reader leaves. */
function writeOn(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, '{"a":')
  const more = () => {
    while (!response.destroyed && response.write(chunk)) {}
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.on('drain', more)
  more()
}

interface Case {
  readonly args: readonly string[]
  readonly code: number
  /** Matches the one line on standard error. */
  readonly line: RegExp
  readonly environment?: Readonly<Record<string, string>>
}

async function requireLines(lab: Lab, cases: readonly Case[]): Promise<void> {
  const left = [...cases]
  const runNext = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) await requireLine(lab, next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runNext))
}

async function requireLine(lab: Lab, { args, code, line, environment }: Case): Promise<void> {
  const child = lab.cli(args, environment)
  child.expectEnd()
  const ended = await child.ended
  const seen = `${args.join(' ')}\n${child.tail()}`
  assert.deepEqual([ended.code, child.err.length, child.out.length], [code, 1, 0], seen)
  assert.match(child.err[0], line, seen)
  assert.match(child.err[0], /^WALCAST_[A-Z_]+: .+; .+/, seen)
  assert.doesNotMatch(child.err[0], /[\p{Cc}\p{Cf}]|TypeError|INTERNAL/u, seen)
}

const COMMANDS = [
  ...[['status'], ['status', '--json'], ['lag'], ['audit'], ['forget', 'node-b']],
  ...[['promote'], ['promote', '--force'], ['demote'], ['switchover'], ['rehearse']],
]

const HTML_LINE =
  /answered 200 \(text\/html\): "<!doctype html> <title>Welcome \[2J to nginx<\/title>"/

labTest('every command shows what answered when that is not a node', async (lab) => {
  const atEnd: AtEnd = (end) => lab.atEnd(end)
  const html = await http(atEnd, answering(200, 'text/html', HTML))
  const json = await http(atEnd, answering(200, 'application/json', '{"hello":"world"}'))
  const line = /^WALCAST_NODE_ANSWER: http:\/\/127\.0\.0\.1:\d+\/\S+ answered 200 /
  await requireLines(
    lab,
    COMMANDS.flatMap((args) =>
      [
        {
          args: [...args, '--node', html],
          code: 1,
          line: HTML_LINE,
        },
        {
          args: [...args, '--node', `http://${json}/`],
          code: 1,
          line: /no answer of a node \(\w+ is missing\): "\{"hello":"world"\}"/,
        },
        { args: [...args, '--node', html], code: 1, line },
      ].slice(0, args[0] === 'status' ? 3 : 2),
    ),
  )
  const verified = lab.cli(['verify', '--node', html, '--node', json])
  verified.expectEnd()
  assert.equal((await verified.ended).code, 1)
  const [first, second, verdict] = verified.out
  assert.match(
    first,
    /^127\S+ {2}WALCAST_NODE_ANSWER: \S+ answered 200 \(text\/html\)/,
    verified.tail(),
  )
  assert.match(
    second,
    /^127\S+ {2}WALCAST_NODE_ANSWER: \S+ answered 200 with JSON that is no answer/,
  )
  assert.deepEqual([verdict, verified.err], ['NOT VERIFIED: not every node answered', []])
})

labTest('one line tells what answers at a wrong address', async (lab) => {
  const atEnd: AtEnd = (end) => lab.atEnd(end)
  const plain = (status: number, type: string, body: string, headers?: Record<string, string>) =>
    http(atEnd, answering(status, type, body, headers))
  const walcast = (status: number, key: string) =>
    plain(
      status,
      'application/json',
      JSON.stringify({ code: `WALCAST_${key}`, message: `it is ${key}`, cure: '' }),
    )
  const refused = /^WALCAST_NODE_UNREACHABLE: /
  // Nothing proves itself at first, and then a node is there.
  let met = 0
  const cases: [node: string, line: RegExp, environment?: Record<string, string>][] = [
    ['127.0.0.1:1', /NODE_UNREACHABLE: .*ECONNREFUSED/],
    ['localhost:1', /NODE_UNREACHABLE: .*localhost:1\/\S+: .*ECONNREFUSED/],
    [
      await plain(200, 'text/plain', ''),
      /NODE_ANSWER: .* answered 200 \(text\/plain\): nothing more/,
    ],
    [await plain(200, 'application/json', '[{"a":1}]'), /NODE_ANSWER: .*"\[\{"a":1\}\]"/],
    [
      await plain(200, 'application/json', '{"a":'.repeat(100_000)),
      /NODE_ANSWER: .*: "(\{"a":)+\{?.*"\.\.\.;/,
    ],
    [
      await plain(200, 'application/json', `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
      /NODE_ANSWER: .*node is missing/,
    ],
    [
      await plain(301, 'text/html', '', { location: 'https://shop.example/\u00e9' }),
      /answered 301 \(text\/html\) and redirects to https:\/\/shop.example\//,
    ],
    [
      await plain(401, 'text/html', 'who are you?'),
      /NODE_ANSWER: .* answered 401 \(text\/html\): "who/,
    ],
    [
      await plain(500, 'application/json', '{"message":"oh\\u001b[2J"}'),
      /NODE_ANSWER: .* 500: oh \[2J; check/,
    ],
    [
      await walcast(401, 'UNAUTHORIZED'),
      /UNAUTHORIZED: http\S+ wants the cluster secret or a token; set WALCAST_SECRET/,
    ],
    [
      await walcast(401, 'UNAUTHORIZED'),
      /UNAUTHORIZED: http\S+ has a different secret/,
      { WALCAST_SECRET: 'a secret of some length' },
    ],
    [await walcast(503, 'STOPPING'), /^WALCAST_STOPPING: it is STOPPING; try again in a moment$/],
    [
      await walcast(404, 'NOT_FOUND'),
      /NODE_ANSWER: .*404, as the public side \(--proxy\) .*; .*private side \(--listen\)/,
    ],
    [await tcp(atEnd, (socket) => socket.end()), refused],
    [await tcp(atEnd, (socket) => socket.destroy()), /the connection was closed without an answer/],
    [
      await tcp(atEnd, (socket) => {
        if (met++ === 0) socket.destroy()
        else socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${LEADER.length}\r\n\r\n${LEADER}`)
      }),
      /^WALCAST_NODE_UNREACHABLE: .*the connection was closed/,
      { WALCAST_SECRET: 'a secret of some length' },
    ],
    [
      await tcp(atEnd, (socket) => socket.end('SSH-2.0-OpenSSH_9\r\n')),
      /answered in something other than HTTP/,
    ],
    [
      await tcp(atEnd, (socket) => socket.end('\x15\x03\x01\x00\x02\x02\x46')),
      /in something other than HTTP/,
    ],
    [`https://${await plain(200, 'text/html', HTML)}`, /speaks no TLS: write http:\/\//],
    [
      await http(atEnd, (_request, response) => writeOn(response)),
      /answered 200 \(.*\): more than 16 MiB/,
    ],
    [await tcp(atEnd, () => {}), /NODE_UNREACHABLE: .*: no answer within 10 s/],
  ]
  await requireLines(
    lab,
    cases.map(([node, line, environment = {}]) => ({
      args: ['status', '--node', node],
      code: 1,
      line,
      environment,
    })),
  )
})

labTest('a mistyped address, flag, command or variable gets a hint', async (lab) => {
  const usage = (
    args: readonly string[],
    line: RegExp,
    environment: Record<string, string> = {},
  ): Case => ({
    args,
    code: 2,
    line: new RegExp(`^WALCAST_USAGE: .*${line.source}`),
    environment,
  })
  const node = (given: string, line: RegExp) => usage(['lag', '--node', given], line)
  const db = lab.path('a.db')
  await makeDatabase(lab, db)
  await requireLines(lab, [
    node('/srv/app.db', /not "\/srv\/app.db" \(that is a path\); see/),
    node('./app.db', /that is a path/),
    node('::1:8470', /put an IPv6 address in brackets: \[::1\]:8470/),
    node('fe80::1%eth0', /in brackets/),
    node('http://::1:8470', /a URL such as http:\/\/127.0.0.1:8470, not "http:\/\/::1:8470"/),
    node('10.0.0.1', /add the port: 10.0.0.1:8470/),
    node('[::1]', /add the port: \[::1\]:8470/),
    node('8470', /127.0.0.1:8470/),
    node('127.0.0.1:84700', /HOST:PORT/),
    node('ftp://127.0.0.1:1', /HOST:PORT or a URL/),
    node('http://me:hunter2@127.0.0.1:1', /a URL without user and password/),
    node('', /HOST:PORT or a URL/),
    usage(['status'], /HOST:PORT/, { WALCAST_NODE: 'nowhere', WALCAST_DB: db }),
    usage(
      ['status', '127.0.0.1:1', '127.0.0.1:2'],
      /unexpected argument "127.0.0.1:2"; see walcast status --help/,
    ),
    usage(['status', '--node', '127.0.0.1:1', '--node', '127.0.0.1:2'], /--node is given twice/),
    usage(['promote', 'node-a', '--node', 'node-b'], /NODE and --node name two nodes: give one/),
    usage(['demote', '127.0.0.1:1', '--db', db], /--db and an address name two nodes: give one/),
    usage(['lag', 'node-x', '--db', db], /no node node-x was found: no node of \S+ runs here/),
    usage(['promote', '--node'], /--node/),
    usage(['switchover', '--noed', '127.0.0.1:1'], /'--noed' \(did you mean --node\?\)/),
    usage(['forget', 'a', 'b'], /forget takes the id of one replica/),
    usage(['forget'], /forget takes the id of one replica/),
    usage(['verify', '--node', '127.0.0.1:1'], /at least two nodes/),
    usage(['audit', '--limit', '0'], /--limit/),
    usage(['staus'], /unknown command "staus" \(did you mean status\?\); see walcast --help/),
    usage(['clusters'], /unknown command "clusters" \(did you mean cluster\?\)/),
    usage(
      ['leader', '--db', db, '--lisen', '127.0.0.1:0'],
      /'--lisen' \(did you mean --listen\?\)/,
    ),
    usage(
      ['leader', '--db', db, '--listen', '127.0.0.1:0'],
      /WALCAST_LOG_LEVEL wants one of fatal, .*silent, not "verbose"/,
      {
        WALCAST_LOG_LEVEL: 'verbose',
      },
    ),
    usage(['replica', '--db', db, '--leader', '::1:8470'], /--leader wants HOST:PORT/),
    usage(['replica', '--db', db, '--leader', 'http://127.0.0.1:1'], /--leader wants HOST:PORT/),
    usage(
      ['replica', '--db', db, '--leader', '127.0.0.1:1', '--replay-on', '200'],
      /--replay-on wants statuses/,
    ),
  ])
  const leader = await lab.leader(db, {
    environment: { WALCAST_LISEN: 'x', WALCAST_ROLE: 'leader' },
  })
  await leader.ready()
  await until('it warns', () => leader.logged('unknown environment variable').length > 0)
  const [warning] = leader.logged('unknown environment variable')
  assert.equal(
    JSON.parse(warning).msg,
    'ignoring unknown environment variables: WALCAST_LISEN (did you mean WALCAST_LISTEN?)',
  )
})

/** `askNode` itself, since a command waits for ten seconds. */
test('an answer that does not begin, or not end, in time is an error', async (t: TestContext) => {
  const atEnd: AtEnd = (end) => t.after(end)
  const silent = await tcp(atEnd, () => {})
  const drips = await http(atEnd, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 5)
    response.once('close', () => clearInterval(timer))
  })
  const question = { method: 'GET', path: '/', environment: {}, timeoutMs: 300 } as const
  await assert.rejects(askNode({ ...question, node: addressTarget(silent) }), {
    key: 'NODE_UNREACHABLE',
    message: /within 0.3 s/,
  })
  await assert.rejects(askNode({ ...question, node: addressTarget(drips) }), {
    key: 'NODE_ANSWER',
    message: /answered 200 \(application\/json\): a body that did not end within 0.3 s/,
  })
  // Nothing carries the secret itself, so it may hold anything.
  const secret = { WALCAST_SECRET: 'a secret of\ntwo lines' }
  await assert.rejects(askNode({ ...question, environment: secret, node: addressTarget(silent) }), {
    key: 'NODE_UNREACHABLE',
  })
})
