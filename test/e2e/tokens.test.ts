/** Tokens: what each role may do, who knows them, and what strangers get. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls, createServer } from 'node:tls'
import type { CreatedToken, TokensAnswer } from '../../src/api/tokens.ts'
import { makeKeys } from '../../src/security/nodeKeys.ts'
import { isEnough, newToken, TOKEN_ROLES, type TokenRole } from '../../src/security/token.ts'
import { LEAST_ROLES } from '../../src/server/leastRoles.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const TOKENS = '/_walcast/tokens'
const STATUS = '/_walcast/status'
/** Answered with 400 where the route is reached: nothing is done. */
const BAD_BODIES: Readonly<Record<string, object>> = {
  'POST /_walcast/promote': { force: 'perhaps' },
  'POST /_walcast/demote': { leader: 'nowhere' },
  'POST /_walcast/switchover': { timeoutMs: 'soon' },
  'POST /_walcast/pause': { forMs: 1 },
  'POST /_walcast/secret/rotate': { overlapMs: 'soon' },
  'POST /_walcast/key/rotate': { force: 'perhaps' },
  'POST /_walcast/leave': { force: 'perhaps' },
}

async function startLeader(lab: Lab, flags: readonly string[] = []): Promise<TestNode> {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'), { environment: SECRET, flags })
  // In TLS mode a plain question gets no answer.
  if (!flags.includes('--tls')) await leader.ready()
  return leader
}

async function create(node: TestNode, role: TokenRole, more: object = {}): Promise<CreatedToken> {
  const answer = await node.post(TOKENS, { role, ...more })
  assert.equal(answer.status, 200, answer.text)
  return JSON.parse(answer.text)
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

async function ask(
  node: TestNode,
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ readonly status: number; readonly code: string; readonly message: string }> {
  const ended = new AbortController()
  const body = BAD_BODIES[`${method} ${path}`]
  const answer = await fetch(`${node.url}${path}`, {
    method,
    headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: ended.signal,
  })
  const { status } = answer
  const isEndless = answer.headers.get('content-type')?.startsWith('text/event-stream')
  const said = isEndless ? '{}' : await answer.text()
  if (isEndless) ended.abort()
  const { code = '', message = '' } = said.startsWith('{') ? JSON.parse(said) : {}
  return { status, code, message }
}

/** What the command printed, and its exit code. */
async function run(lab: Lab, args: readonly string[], environment: Record<string, string> = {}) {
  const child = lab.cli(args, environment)
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

labTest('each role may do what the table says, on each path', async (lab) => {
  const leader = await startLeader(lab)
  const made = await Promise.all(TOKEN_ROLES.map((role) => create(leader, role)))
  for (const [route, least] of Object.entries(LEAST_ROLES)) {
    const [method, path] = route.split(' ')
    assert.equal((await ask(leader, path, {}, method)).status, 401, route)
    for (const { role, token } of made) {
      const { status, code, message } = await ask(leader, path, bearer(token), method)
      const about = `${role} ${route}: ${status} ${code}`
      const isAllowed = least !== 'public' && least !== 'node' && isEnough(role, least)
      if (isAllowed) assert.ok(status !== 401 && status !== 403, about)
      else {
        assert.deepEqual([status, code], [403, 'WALCAST_TOKEN_TOO_WEAK'], about)
        assert.match(
          message,
          least === 'node' ? /signature of a node/ : new RegExp(`wants ${least}`),
        )
      }
    }
  }
  const [metrics, read, operate, admin] = made.map(({ token }) => bearer(token))
  for (const path of ['/livez', '/readyz', '/leader', '/metrics', '/_walcast/proof'])
    assert.equal((await ask(leader, path, {})).status, 200, path)
  // The path as it is written does not decide.
  assert.equal((await ask(leader, '/_walcast/%73tatus', metrics)).status, 403)
  assert.equal((await ask(leader, '/_walcast/%73tatus', read)).status, 200)
  assert.equal((await ask(leader, STATUS, read, 'HEAD')).status, 200)
  assert.equal((await ask(leader, '/_walcast/nothing', metrics)).status, 404)
  assert.equal((await ask(leader, '/_walcast/nothing', {})).status, 401)
  assert.equal((await ask(leader, '/_walcast/scrub', operate, 'POST')).status, 200)
  const paged = { ...admin, origin: 'https://shop.example' }
  assert.equal((await ask(leader, TOKENS, paged, 'POST')).code, 'WALCAST_FOREIGN_PAGE')
  const by = 'by=admin@here%20(10.0.0.1)'
  await ask(leader, `/_walcast/replicas?node=gone&${by}`, operate, 'DELETE')
  const { audit = [] } = await leader.status()
  const last = audit.at(-1)
  assert.equal(last?.action, 'forget')
  assert.match(last?.by ?? '', new RegExp(`\\(token ${made[2].id}, 127.0.0.1\\)$`))
  assert.ok((await leader.metric('walcast_token_refusals_total', 'too-weak')) > 10)
  assert.equal(await leader.metric('walcast_token_changes_total', 'create'), 4)
  // Who asked for what, and never the token.
  assert.ok(!JSON.stringify(audit).includes(made[0].token.slice(15)))
})

labTest('a token made at a replica while the leader is away ends on all nodes', async (lab) => {
  const flags = ['--peer-look', '200ms']
  const options = { environment: SECRET, flags }
  const leader = await startLeader(lab, flags)
  const a = await lab.replica(lab.path('a.db'), leader, options)
  const b = await lab.replica(lab.path('b.db'), leader, options)
  for (const node of [a, b]) {
    await node.ready()
    await until('all have met', async () => (await node.status()).members?.length === 2)
  }
  await leader.stop()
  const args = ['token', 'create', '--role', 'admin', '--note', 'of  the test', '--expires', '90d']
  const made = await run(lab, [...args, '--db', a.db])
  assert.equal(made.code, 0, made.err)
  assert.match(made.out, /^wct_\w{10}_[\w-]{43}$/)
  assert.match(made.err, /^token \w{10}, role admin, good until \S+Z; it is shown this once$/)
  const headers = bearer(made.out)
  const id = made.out.slice(4, 14)
  await until('b knows it', async () => (await ask(b, STATUS, headers)).status === 200)
  const environment = { WALCAST_TOKEN: made.out }
  const listed = await run(lab, ['token', 'list', '--node', b.url, '--json'], environment)
  const { tokens }: TokensAnswer = JSON.parse(listed.out)
  assert.deepEqual([tokens[0].id, tokens[0].note, tokens[0].role], [id, 'of the test', 'admin'])
  assert.ok(!/hash|[0-9a-f]{64}/.test(listed.out) && !listed.out.includes(made.out.slice(15)))

  // Both forget nothing over a restart, and the leader comes to know it.
  await b.stop()
  const restarted = await lab.restart(b)
  assert.equal((await ask(restarted, STATUS, headers)).status, 200)
  const led = await lab.restart(leader)
  await until('the leader does', async () => (await ask(led, STATUS, headers)).status === 200)
  const revoked = await run(lab, ['token', 'revoke', id, '--node', restarted.url], environment)
  assert.deepEqual([revoked.code, revoked.out, revoked.err], [0, `revoked ${id}`, ''])
  for (const node of [restarted, led, a])
    await until('it is refused', async () => (await ask(node, STATUS, headers)).status > 400)
  await led.stop()
  const again = await lab.restart(led)
  assert.equal((await ask(again, STATUS, headers)).status, 401)
  const table = await run(lab, ['token', 'list', '--wide', '--db', again.db])
  assert.match(table.out, new RegExp(`^${id} .*\\d{4}-\\d\\d-\\d\\dT`, 'm'))
  const status = await run(lab, ['status', '--node', again.url], environment)
  assert.equal(status.code, 1)
  assert.match(status.err, /^WALCAST_PEER_UNPROVEN: .*does not know token/)
})

labTest('a stream of events ends with the token that opened it', async (lab) => {
  const leader = await startLeader(lab)
  const { token, id } = await create(leader, 'read')
  const stream = await fetch(`${leader.url}/_walcast/events`, { headers: bearer(token) })
  assert.equal(stream.status, 200)
  const ended = within(
    'the end of the stream',
    new Response(stream.body).text().catch((error) => error),
  )
  const revoked = await run(lab, ['token', 'revoke', id, '--db', leader.db])
  assert.equal(revoked.code, 0, revoked.err)
  await lab.exec(leader.db, "INSERT INTO log (who) VALUES ('later')")
  await ended
})

labTest('wrong tokens are slowed down, right ones from the same address are not', async (lab) => {
  const leader = await startLeader(lab)
  const { token, id } = await create(leader, 'read')
  const expired = await create(leader, 'read', { expiresMs: 1 })
  await until('it has expired', () => Date.now() > Date.parse(expired.expires ?? ''))
  assert.match((await ask(leader, STATUS, bearer(expired.token))).message, /has expired/)
  const wrong = Array.from({ length: 200 }, (_, i) =>
    i % 2 === 0 ? newToken().text : `wct_${id}_${newToken().text.slice(15)}`,
  )
  const answers = await Promise.all(wrong.map((each) => ask(leader, STATUS, bearer(each))))
  const codes = new Set(answers.map(({ status, code }) => `${status} ${code}`))
  assert.deepEqual(codes, new Set(['401 WALCAST_UNAUTHORIZED', '429 WALCAST_TOO_MANY_ATTEMPTS']))
  const late = await fetch(`${leader.url}${STATUS}`, { headers: bearer(wrong[0]) })
  assert.equal(late.status, 429)
  assert.ok(Number(late.headers.get('retry-after')) >= 1)
  assert.equal((await ask(leader, STATUS, bearer(token))).status, 200)
  assert.ok((await leader.metric('walcast_token_refusals_total', 'too-many')) > 100)
  const told = (await leader.status()).audit?.filter(({ action }) => action === 'token') ?? []
  assert.ok(told.length > 0 && told.length <= 6, `${told.length} entries`)
})

labTest('hostile headers let nobody in', async (lab) => {
  const leader = await startLeader(lab)
  const { token } = await create(leader, 'admin')
  for (const value of [
    `Bearer ${SECRET.WALCAST_SECRET}`,
    `Bearer ${Buffer.from(SECRET.WALCAST_SECRET).toString('base64')}`,
    `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`,
    token,
    'Bearer',
  ]) {
    const { status, code, message } = await ask(leader, STATUS, { authorization: value })
    assert.deepEqual([status, code], [401, 'WALCAST_UNAUTHORIZED'])
    assert.match(message, /no token .*the cluster secret is never sent: make a token/)
  }
  const raw = async (lines: string) => {
    const socket = connect(leader.options.port, '127.0.0.1')
    socket.end(`GET ${STATUS} HTTP/1.1\r\nhost: x\r\n${lines}connection: close\r\n\r\n`)
    return text(socket)
  }
  const line = `authorization: Bearer ${token}\r\n`
  assert.match(await raw(line), /^HTTP\/1.1 200 /)
  for (const twice of [line + line, `${line}Authorization: Bearer wct_x\r\n`])
    assert.match(await raw(twice), /^HTTP\/1.1 401 /)
  for (const odd of ['\u0000', '\u0001', '\u007f'])
    assert.doesNotMatch(await raw(`authorization: Bearer ${odd}${token}\r\n`), /^HTTP\/1.1 2/)
  const answer = await new Promise<number>((resolve) => {
    const outgoing = request(`${leader.url}${STATUS}`, {
      headers: { authorization: `Bearer wct_${'a'.repeat(1024 ** 2)}` },
    })
    outgoing.on('response', ({ statusCode }) => resolve(statusCode ?? 0))
    outgoing.on('error', () => resolve(0))
    outgoing.end()
  })
  // The answer arrives while the head is still on its way, and may be lost.
  assert.ok([0, 431].includes(answer), `${answer}`)
  assert.equal((await ask(leader, STATUS, bearer(token))).status, 200)
})

labTest('the command line sends its token to nobody who does not know it', async (lab) => {
  const leader = await startLeader(lab)
  const { token, id } = await create(leader, 'read')
  const file = lab.path('token')
  writeFileSync(file, `${token}\n`, { mode: 0o600 })
  const ending = { after: (end: () => void) => lab.atEnd(end) }
  const answer = () => ({ body: { role: 'leader', node: 'rogue', address: '127.0.0.1:1' } })
  const other = { secret: 'another secret than the one of it', node: 'rogue' }
  for (const identity of [undefined, other]) {
    const rogue = await fakeNode(ending, answer, identity)
    const args = ['status', '--node', rogue.address]
    const { code, err } = await run(lab, args, { WALCAST_TOKEN_FILE: file })
    assert.equal(code, 1)
    assert.match(err, new RegExp(`^WALCAST_PEER_UNPROVEN: .*does not know token ${id}`))
    for (const { authorization } of rogue.requests) assert.equal(authorization, undefined)
  }
  const status = await run(lab, ['status', '--node', leader.address], { WALCAST_TOKEN_FILE: file })
  assert.deepEqual([status.code, status.err], [0, ''])
  const promoted = await run(lab, ['promote', '--node', leader.address], { WALCAST_TOKEN: token })
  assert.match(promoted.err, new RegExp(`^WALCAST_TOKEN_TOO_WEAK: token ${id} .*wants operate`))
  const both = { WALCAST_TOKEN: token, WALCAST_TOKEN_FILE: file }
  assert.match((await run(lab, ['lag', '--node', leader.address], both)).err, /^WALCAST_TOKEN_UNR/)
  assert.ok(!leader.child.err.some((logged) => logged.includes(token.slice(15))))
})

labTest('who passes on bytes to a node over TLS never sees the token', async (lab) => {
  const leader = await startLeader(lab, ['--tls'])
  const made = await run(lab, ['token', 'create', '--role', 'read', '--db', leader.db])
  const { key, certificate: cert } = makeKeys()
  const seen: string[] = []
  const server = createServer({ key, cert }, (client) => {
    const there = connectTls({ port: leader.options.port, rejectUnauthorized: false })
    for (const side of [client, there]) side.on('error', () => {})
    client.on('data', (bytes) => seen.push(bytes.toString('latin1')))
    client.pipe(there).pipe(client)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  lab.atEnd(() => void server.close())
  const { port } = server.address() as AddressInfo
  const environment = { WALCAST_TOKEN: made.out }
  const status = await run(lab, ['status', '--node', `https://127.0.0.1:${port}`], environment)
  assert.match(status.err, /^WALCAST_PEER_UNPROVEN: /)
  assert.ok(seen.length > 0 && !seen.join('').includes('wct_'))
  const direct = `https://${leader.address}`
  assert.equal((await run(lab, ['status', '--node', direct], environment)).code, 0)
})

labTest('a cluster without a secret has no tokens', async (lab) => {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'))
  for (const args of [['list'], ['create', '--role', 'read'], ['revoke', 'abcdefghjk']]) {
    const { code, err } = await run(lab, ['token', ...args, '--db', leader.db])
    assert.equal(code, 1)
    assert.match(err, /^WALCAST_TOKENS_WITHOUT_SECRET: /)
  }
})
