/** The commands that move leadership, as processes, against fake nodes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hostname, userInfo } from 'node:os'
import { type TestContext, test } from 'node:test'
import { deriveKey } from '../../src/security/clusterSecrets.ts'
import { isSignedBy, parseSignature, sha256 } from '../../src/security/requestSignature.ts'
import { endingWithParent } from '../support/endsWithParent.ts'
import {
  type FakeAnswer,
  type FakeNode,
  type FakeRequest,
  fakeNode,
  refusal,
} from '../support/fakeNode.ts'
import { CLI } from '../support/paths.ts'

const BY = `${userInfo().username}@${hostname()}`
/** Only against hanging: a busy machine is slow. */
const TIMEOUT_MS = 600_000

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function walcast(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const [file, bound] = endingWithParent(process.execPath, [CLI, ...args])
  const child = spawn(file, bound, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...environment },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

const PROMOTED = {
  node: 'node-b',
  address: '10.0.0.2:8470',
  role: 'leader',
  epoch: 4,
  txid: 1235,
  from: { epoch: 3, txid: 1234 },
  dryRun: false,
  reasons: [],
  lost: null,
  oldLeader: null,
  unheard: [],
  tookMs: 120,
}

test('promote shows the new leader, its first position, and what happened to the others', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const answer = {
    ...PROMOTED,
    oldLeader: {
      node: 'node-a',
      address: '10.0.0.1:8470',
      outcome: 'unreachable',
      detail: 'refused\u001b[2J',
    },
    unheard: [{ node: 'node-c', address: '10.0.0.3:8470' }],
  }
  const secret = 'a secret of twenty chars'
  const node = await fakeNode(t, () => ({ body: answer }), { secret, node: 'node-b' })
  assert.deepEqual(await walcast(['promote', '--node', node.address], { WALCAST_SECRET: secret }), {
    code: 0,
    stdout: `leader      node-b at 10.0.0.2:8470
position    epoch 4 from txid 1235 on (it stood at 3-1234)
old leader  node-a at 10.0.0.1:8470, unreachable: refused\u{fffd}[2J
not heard   node-c at 10.0.0.3:8470
took        120 ms
`,
    stderr: '',
  })
  const [request] = node.requests
  const { signature: header, ...asked } = request
  assert.deepEqual(asked, {
    method: 'POST',
    path: '/_walcast/promote',
    authorization: undefined,
    body: { by: BY },
  })
  const signature = parseSignature(header)
  assert.ok(signature, header)
  assert.deepEqual(
    [signature.from, signature.to, signature.body],
    ['cli', 'node-b', sha256(JSON.stringify(request.body))],
  )
  const signed = { purpose: 'order', method: request.method, path: request.path } as const
  assert.ok(isSignedBy(deriveKey(secret, 'order'), signature, { ...signed, headers: [] }))
  assert.equal(node.requests.length, 1)
  const asJson = await walcast(['promote', '--json'], { WALCAST_NODE: `http://${node.address}` })
  assert.deepEqual([JSON.parse(asJson.stdout), asJson.stderr], [answer, ''])
})

test('promote --force first prints the reasons against it and what is lost', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const reasons = [
    'node node-a at 10.0.0.1:8470 says that it leads, in epoch 3',
    'it is 12 commits behind',
  ]
  const lost = { transactions: 12, detail: '' }
  const LOST = '12 transactions that the leader announced, missing here'
  const node = await fakeNode(t, ({ body }) => ({
    body: { ...PROMOTED, reasons, lost, dryRun: body['dryRun'] === true },
  }))
  const { code, stdout, stderr } = await walcast(['promote', '--force', '--node', node.address])
  assert.equal(code, 0)
  assert.equal(stderr, `against it: ${reasons[0]}\nagainst it: ${reasons[1]}\nlost: ${LOST}\n`)
  assert.match(stdout, new RegExp(`^lost +${LOST}$`, 'm'))
  assert.deepEqual(
    node.requests.map(({ body }) => body),
    [
      { by: BY, force: true, dryRun: true },
      { by: BY, force: true },
    ],
  )
})

test('promote --dry-run changes nothing', { timeout: TIMEOUT_MS }, async (t) => {
  let answer: object = { ...PROMOTED, dryRun: true }
  const node = await fakeNode(t, () => ({ body: answer }))
  const fit = await walcast(['promote', '--dry-run', '--node', node.address])
  assert.equal(fit.stdout, 'node-b at 10.0.0.2:8470 can lead: nothing against it, at 3-1234\n')
  answer = {
    ...answer,
    reasons: ['it has no whole copy'],
    lost: { transactions: null, detail: 'it is empty' },
  }
  const unfit = await walcast(['promote', '--dry-run', '--force', '--node', node.address])
  assert.equal(
    unfit.stdout,
    'against it: it has no whole copy\nlost: an unknown number of transactions: it is empty\n',
  )
  assert.ok(node.requests.every(({ body }) => body['dryRun'] === true))
})

test('a refusal of a node is one line with code and cure', { timeout: TIMEOUT_MS }, async (t) => {
  for (const [args, answer, line] of [
    [
      ['promote'],
      refusal('NOT_FIT', 409, 'this node is not fit to lead: it has no whole copy'),
      'WALCAST_NOT_FIT: this node is not fit to lead: it has no whole copy; ' +
        'promote the node that is furthest; ' +
        '--force promotes this one anyway and tells what is lost',
    ],
    [
      ['promote', '--force'],
      refusal('ALREADY_LEADER', 400, 'this node leads already, in epoch 4'),
      'WALCAST_ALREADY_LEADER: this node leads already, in epoch 4; nothing to do',
    ],
    [
      ['demote'],
      refusal('ROLE_CHANGING', 409, 'a change of role is under way: promote'),
      'WALCAST_ROLE_CHANGING: a change of role is under way: promote; ' +
        'look at the status in a moment',
    ],
    [
      ['switchover'],
      refusal('SWITCHOVER_FAILED', 503, 'the switchover to node-b was given up: late'),
      'WALCAST_SWITCHOVER_FAILED: the switchover to node-b was given up: late; ' +
        'the leader goes on as before; see the status of both nodes',
    ],
    [
      ['audit'],
      { status: 404, body: { message: 'nothing there' } },
      new RegExp(
        '^WALCAST_NODE_ANSWER: http://127\\.0\\.0\\.1:\\d+/_walcast/audit\\?limit=20 ' +
          'answered 404: nothing there; ',
      ),
    ],
  ] as const) {
    const node = await fakeNode(t, () => answer)
    const { code, stdout, stderr } = await walcast([...args, '--node', node.address])
    assert.deepEqual([code, stdout, stderr.split('\n').length], [1, '', 2], stderr)
    if (typeof line === 'string') assert.equal(stderr, `${line}\n`)
    else assert.match(stderr, line)
  }
})

test('help, a node that is away, and wrong arguments, for each command', {
  timeout: TIMEOUT_MS,
}, async () => {
  for (const command of ['promote', 'demote', 'switchover', 'rehearse', 'audit']) {
    const help = await walcast([command, '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, new RegExp(`^walcast ${command} \\[NODE\\]`))
    const away = await walcast([command, '--node', '127.0.0.1:1'])
    assert.deepEqual([away.code, away.stderr.split(':', 1)[0]], [1, 'WALCAST_NODE_UNREACHABLE'])
    const odd = await walcast([command, '--farce'])
    assert.deepEqual([odd.code, odd.stderr.split(':', 1)[0]], [2, 'WALCAST_USAGE'])
  }
  for (const args of [
    ['switchover', '--timeout', 'soon'],
    ['demote', '--leader', 'node-a'],
    ['audit', '--limit', '201'],
    ['audit', '--limit', '0'],
  ])
    assert.equal((await walcast(args)).code, 2, args.join(' '))
})

test('demote shows the new role and the leader to follow', { timeout: TIMEOUT_MS }, async (t) => {
  const answer = { node: 'node-a', role: 'replica', epoch: 3, txid: 9, leader: '', tookMs: 12.3 }
  const node = await fakeNode(t, () => ({ body: answer }))
  const { stdout } = await walcast(['demote', '--leader', '10.0.0.2:8470', '--node', node.address])
  assert.equal(
    stdout,
    `replica   node-a
position  3-9
leader    none known: this node serves reads until it hears of one
took      12 ms
`,
  )
  assert.deepEqual(node.requests[0].body, { by: BY, leader: '10.0.0.2:8470' })
})

const STAGES = {
  quietMs: 1,
  fenceMs: 0.5,
  drainMs: 12,
  confirmMs: 3,
  recordMs: 2,
  takeOverMs: 20,
  applicationMs: 700,
  followMs: 1500,
}

/** Two nodes that hand leadership to each other and commit a little meanwhile. */
class Pair {
  readonly nodes: FakeNode[] = []
  leading = 0
  epoch = 3
  txid = 100
  /** How many transactions the other node lacks when asked. */
  behind = 0
  /** How often a former leader is asked before it is fit again. */
  unfitTimes = 0
  refuse: (from: number) => FakeAnswer | undefined = () => undefined

  static async start(t: TestContext): Promise<Pair> {
    const pair = new Pair()
    for (const at of [0, 1])
      pair.nodes.push(await fakeNode(t, (request) => pair.answer(at, request)))
    return pair
  }

  get switchovers() {
    return this.nodes.flatMap((node, at) =>
      node.requests.filter(({ method }) => method === 'POST').map(({ body }) => ({ at, body })),
    )
  }

  answer(at: number, { method, path, body }: FakeRequest): FakeAnswer {
    const isLeader = at === this.leading
    if (path === '/leader')
      return { status: isLeader ? 200 : 503, body: { address: this.nodes[this.leading].address } }
    if (path === '/_walcast/fitness') return { body: this.fitness(at) }
    if (method !== 'POST') return refusal('NOT_FOUND', 404, 'nothing there')
    const refused = this.refuse(at)
    if (refused) return refused
    assert.equal(body['to'], this.place(1 - at).node)
    this.leading = 1 - at
    this.epoch++
    this.txid++
    return {
      body: {
        from: this.place(at),
        to: this.place(1 - at),
        epoch: this.epoch,
        txid: this.txid,
        pauseMs: 38,
        heldWrites: 12,
        stages: STAGES,
        tookMs: 1538,
      },
    }
  }

  place(at: number) {
    return { node: at === 0 ? 'node-a' : 'node-b', address: this.nodes[at].address }
  }

  fitness(at: number) {
    const isLeader = at === this.leading
    const txid = isLeader ? this.txid : this.txid - this.behind
    const fit = !isLeader && this.unfitTimes-- <= 0
    return {
      ...this.place(at),
      role: isLeader ? 'leader' : 'replica',
      epoch: this.epoch,
      txid,
      leaderTxid: this.txid,
      lagMs: 0,
      durableTxid: txid,
      fit,
      reasons: fit ? [] : ['it does not follow yet'],
      lost: null,
      leader: this.place(this.leading).node,
      members: [0, 1].map((other) => ({
        ...this.place(other),
        reached: true,
        role: other === this.leading ? 'leader' : 'replica',
        epoch: this.epoch,
        txid: this.txid,
      })),
    }
  }
}

test('switchover shows both nodes, the pause and each stage', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const pair = await Pair.start(t)
  const [a, b] = pair.nodes
  const STAGES =
    'quiet 1.00 ms, fence 0.50 ms, drain 12 ms, confirm 3.00 ms, record 2.00 ms, ' +
    'take over 20 ms, application 700 ms, follow 1.5 s'
  const args = ['switchover', '--node', a.address, '--to', 'node-b', '--timeout', '2s']
  assert.deepEqual(await walcast(args), {
    code: 0,
    stdout: `leader    node-b at ${b.address}
before    node-a at ${a.address}
position  epoch 4 from txid 101 on
pause     38 ms, 12 writes held
stages    ${STAGES}
took      1.5 s
`,
    stderr: '',
  })
  assert.deepEqual(pair.switchovers, [{ at: 0, body: { by: BY, to: 'node-b', timeoutMs: 2000 } }])
})

test('switchover asks the leader that a replica names, once', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const pair = await Pair.start(t)
  const [a, b] = pair.nodes
  pair.refuse = (at) =>
    at === 1 ? refusal('NOT_LEADER', 421, 'it is a replica', { leader: a.address }) : undefined
  assert.equal((await walcast(['switchover', '--node', b.address, '--to', 'node-b'])).code, 0)
  assert.deepEqual(
    pair.switchovers.map(({ at }) => at),
    [0, 1],
  )
  pair.refuse = (at) =>
    refusal('NOT_LEADER', 421, 'it is a replica', { leader: pair.nodes[1 - at].address })
  const { code, stderr } = await walcast(['switchover', '--node', b.address])
  assert.deepEqual([code, stderr.split(':', 1)[0]], [1, 'WALCAST_NOT_LEADER'])
  assert.equal(pair.switchovers.length, 4, 'two nodes that name each other are asked once each')
  pair.refuse = () => refusal('NOT_LEADER', 421, 'it is a replica', { leader: 'node-a' })
  assert.equal((await walcast(['switchover', '--node', b.address])).code, 1)
  assert.equal(pair.switchovers.length, 5, 'an id is no address')
})

test('rehearse hands leadership over and back and shows what each way cost', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const pair = await Pair.start(t)
  pair.behind = 2
  const { code, stdout, stderr } = await walcast([
    'rehearse',
    '--node',
    pair.nodes[1].address,
    '--timeout',
    '5s',
  ])
  assert.deepEqual([code, stderr], [0, ''])
  assert.equal(
    stdout,
    `rehearsal  leadership went there and back
leader     node-a

       from    to      pause  writes held  took   crash would lose        target was
there  node-a  node-b  38 ms  12           1.5 s  at most 2 transactions  fit
back   node-b  node-a  38 ms  12           1.5 s  at most 2 transactions  fit

       quiet    fence    drain  confirm  record   take over  application  follow
there  1.00 ms  0.50 ms  12 ms  3.00 ms  2.00 ms  20 ms      700 ms       1.5 s
back   1.00 ms  0.50 ms  12 ms  3.00 ms  2.00 ms  20 ms      700 ms       1.5 s
`,
  )
  const by = `${BY} (rehearsal)`
  assert.deepEqual(pair.switchovers, [
    { at: 0, body: { to: 'node-b', by, timeoutMs: 5000 } },
    { at: 1, body: { to: 'node-a', by, timeoutMs: 5000 } },
  ])
})

test('rehearse waits until the first node is fit to lead again', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const pair = await Pair.start(t)
  let handed = false
  pair.refuse = (at) => {
    if (at === 0) handed = true
    if (at === 0) pair.unfitTimes = 3
    return undefined
  }
  const { code, stdout } = await walcast([
    'rehearse',
    '--json',
    '--node',
    pair.nodes[0].address,
    '--to',
    'node-b',
  ])
  const { ok, ways, leader, failure } = JSON.parse(stdout)
  assert.deepEqual([code, ok, leader, failure, handed], [0, true, 'node-a', undefined, true])
  assert.deepEqual(
    ways.map((way: { atRisk: number; to: { fit: boolean } }) => [way.atRisk, way.to.fit]),
    [
      [0, true],
      [0, true],
    ],
  )
})

test('rehearse names the leader when the way back fails', { timeout: TIMEOUT_MS }, async (t) => {
  for (const json of [false, true]) {
    const pair = await Pair.start(t)
    pair.refuse = (at) =>
      at === 1 ? refusal('NOT_FIT', 409, 'this node is not fit to lead: late') : undefined
    const args = ['rehearse', '--node', pair.nodes[0].address, ...(json ? ['--json'] : [])]
    const { code, stdout, stderr } = await walcast(args)
    assert.equal(code, 1)
    assert.equal(
      stderr,
      'WALCAST_REHEARSAL_FAILED: the rehearsal ended with node-b leading: ' +
        'this node is not fit to lead: late; ' +
        'see the status of both nodes; walcast switchover hands back\n',
    )
    if (json) assert.equal(JSON.parse(stdout).failure.code, 'WALCAST_REHEARSAL_FAILED')
    else
      assert.match(
        stdout,
        /went there and not back\nleader {5}node-b\n(?:.*\n)*there {2}node-a {2}node-b/,
      )
  }
})

test('a rehearsal that cannot begin changes nothing', { timeout: TIMEOUT_MS }, async (t) => {
  const pair = await Pair.start(t)
  const unknown = await walcast(['rehearse', '--node', pair.nodes[0].address, '--to', 'node-z'])
  assert.deepEqual([unknown.code, unknown.stderr.split(':', 1)[0]], [1, 'WALCAST_NO_TARGET'])
  pair.refuse = () =>
    refusal('SWITCHOVER_FAILED', 503, 'the switchover to node-b was given up: late')
  const failed = await walcast(['rehearse', '--node', pair.nodes[0].address])
  assert.deepEqual([failed.code, failed.stderr.split(':', 1)[0]], [1, 'WALCAST_SWITCHOVER_FAILED'])
  assert.equal(pair.leading, 0)
})

const ENTRY = {
  at: '2026-11-22T18:00:00.000Z',
  node: 'node-a',
  action: 'switchover',
  outcome: 'done',
  role: 'replica',
  epoch: 4,
  txid: 101,
  by: 'ann@desk',
  detail: 'to node-b',
}

test('audit shows the last entries', { timeout: TIMEOUT_MS }, async (t) => {
  let entries = [ENTRY, { ...ENTRY, action: 'role', by: 'node', detail: undefined }]
  const node = await fakeNode(t, () => ({ body: { entries } }))
  const { stdout } = await walcast(['audit', '--node', node.address, '--limit', '2', '--wide'])
  assert.equal(
    stdout,
    `at                        node    action           role     position  by        detail
2026-11-22T18:00:00.000Z  node-a  switchover done  replica  4-101     ann@desk  to node-b
2026-11-22T18:00:00.000Z  node-a  role done        replica  4-101     node
`,
  )
  assert.equal(node.requests[0].path, '/_walcast/audit?limit=2')
  const asJson = await walcast(['audit', '--json', '--node', node.address])
  assert.deepEqual(JSON.parse(asJson.stdout.split('\n')[0]), ENTRY)
  entries = []
  assert.equal((await walcast(['audit', '--node', node.address])).stdout, 'nothing yet\n')
})

test('status shows since when the role holds, the members, and the last changes', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const status = {
    node: 'node-a',
    cluster: 'cluster-1',
    db: '/srv/app.db',
    role: 'leader',
    state: 'capturing',
    epoch: 4,
    txid: 101,
    checksum: '0123456789abcdef',
    pageSize: 4096,
    pages: 2,
    walBytes: 0,
    leader: 'node-a',
    replicas: [],
    lag: { lagMs: 0, txidLag: 0, connected: true },
    causes: [],
    version: '0.1.0',
    uptimeSeconds: 1,
  }
  let more: object = {}
  const node = await fakeNode(t, () => ({ body: { ...status, ...more } }))
  const before = await walcast(['status', '--node', node.address])
  assert.match(before.stdout, /^role +leader \(capturing\)$/m)
  assert.doesNotMatch(before.stdout, /member|action/)
  more = {
    roleSince: '2026-11-22T17:00:00.000Z',
    members: [
      { node: 'node-a', address: 'a:1', reached: true },
      { node: 'node-b', address: 'b:1', reached: true, role: 'replica', epoch: 4, txid: 100 },
      { node: 'node-c', address: 'c:1', reached: false },
    ],
    audit: [ENTRY, ENTRY, ENTRY, { ...ENTRY, detail: 'the last' }],
  }
  const { stdout } = await walcast(['status', '--node', node.address])
  assert.match(stdout, /^role +leader \(capturing\) since 2026-11-22T17:00:00.000Z$/m)
  assert.match(stdout, /^member +node-b at b:1\nmember +node-c at c:1$/m)
  assert.doesNotMatch(stdout, /member +node-a/)
  assert.match(stdout, /\n\nat +node +action [^\n]*\n(.*\n){2}.*the last\n$/)
})
