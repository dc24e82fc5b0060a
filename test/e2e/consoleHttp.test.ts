/** The console over real sockets: what it serves, whom it lets in, and what foreign pages get. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import type { CreatedToken } from '../../src/api/tokens.ts'
import { newToken } from '../../src/security/token.ts'
import { askConsole, cookieOf, login, pageHeaders, SESSION } from '../support/consoleClient.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { fetchAny } from '../support/signatures.ts'
import type { TestNode } from '../support/testNode.ts'
import { until, within } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const PROMOTE = '/_walcast/promote'
const EVENTS = '/_walcast/console/events'
const POST = { method: 'POST', body: '{}' }

async function startLeader(
  lab: Lab,
  environment: Record<string, string> = SECRET,
  flags: readonly string[] = [],
): Promise<TestNode> {
  await makeDatabase(lab, lab.path('leader.db'))
  const leader = await lab.leader(lab.path('leader.db'), { environment, flags })
  return leader
}

async function create(node: TestNode, role: string, more: object = {}): Promise<CreatedToken> {
  const answer = await node.post('/_walcast/tokens', { role, ...more })
  assert.equal(answer.status, 200, answer.text)
  return JSON.parse(answer.text)
}

/** The stream of the page, as a text that grows, and its end. */
async function stream(node: TestNode, cookie: string) {
  const asked = request({
    port: node.options.port,
    path: EVENTS,
    headers: { cookie },
    agent: false,
  })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const heard = { status: answer.statusCode, text: '', isOver: false }
  answer.setEncoding('utf8')
  answer.on('data', (chunk: string) => {
    heard.text += chunk
  })
  answer.on('error', () => {})
  answer.on('close', () => {
    heard.isOver = true
  })
  return heard
}

labTest('sessions: who gets one, what it may do, and when it ends', async (lab) => {
  const leader = await startLeader(lab)
  const [operate, read, metrics] = await Promise.all(
    ['operate', 'read', 'metrics'].map((role) => create(leader, role)),
  )
  const page = await askConsole(leader, '/_walcast/')
  assert.equal(page.status, 200)
  assert.match(
    String(page.headers['content-security-policy']),
    /default-src 'none'; script-src 'self'/,
  )
  assert.doesNotMatch(String(page.headers['content-security-policy']), /unsafe/)
  assert.equal(page.headers['x-content-type-options'], 'nosniff')
  const { etag = '' } = page.headers
  const again = await askConsole(leader, '/_walcast/', { headers: { 'if-none-match': etag } })
  assert.deepEqual([again.status, again.text], [304, ''])
  assert.equal((await askConsole(leader, '/_walcast')).headers.location, '/_walcast/')
  assert.deepEqual(JSON.parse((await askConsole(leader, SESSION)).text).session, null)

  const first = await login(leader, operate.token)
  assert.equal(first.status, 200, first.text)
  const [flags] = first.headers['set-cookie'] ?? []
  assert.match(
    flags ?? '',
    /^walcast-[0-9a-f]{12}=[\w-]{43}; Path=\/_walcast\/; HttpOnly; SameSite=Strict$/,
  )
  const cookie = cookieOf(first)
  const { session } = JSON.parse(first.text)
  assert.deepEqual([session.role, session.token], ['operate', operate.id])
  assert.ok(Date.parse(session.expires) > Date.now())
  assert.equal((await login(leader, metrics.token)).status, 403)

  // The role decides, as with a bearer token.
  const own: Record<string, string> = { ...pageHeaders(leader), cookie }
  const dry = { method: 'POST', headers: own, body: '{"dryRun":true}' }
  assert.equal((await askConsole(leader, '/_walcast/status', { headers: { cookie } })).status, 200)
  const promote = await askConsole(leader, PROMOTE, dry)
  assert.match(promote.text, /WALCAST_ALREADY_LEADER/)
  assert.equal((await askConsole(leader, '/_walcast/tokens', { headers: { cookie } })).status, 403)
  const weak = cookieOf(await login(leader, read.token))
  const refused = await askConsole(leader, PROMOTE, { ...dry, headers: { ...own, cookie: weak } })
  assert.match(refused.text, /WALCAST_TOKEN_TOO_WEAK/)

  // Two sessions of one token: the end of one leaves the other.
  const second = cookieOf(await login(leader, operate.token))
  const events = await stream(leader, second)
  await until('all parts have come', () =>
    ['clock', 'session', 'node', 'lag', 'backups', 'audit'].every((event) =>
      events.text.includes(`event: ${event}\n`),
    ),
  )
  const { 'content-type': _type, ...bodiless } = own
  const out = await askConsole(leader, SESSION, { method: 'DELETE', headers: bodiless })
  assert.match(out.headers['set-cookie']?.[0] ?? '', /=; .*Max-Age=0$/)
  assert.equal((await askConsole(leader, '/_walcast/status', { headers: { cookie } })).status, 401)
  const there = { headers: { cookie: second } }
  assert.equal((await askConsole(leader, '/_walcast/status', there)).status, 200)

  // The end of the token is that of its sessions and streams.
  await leader.delete(`/_walcast/tokens?id=${operate.id}`)
  await until('the stream is cut', () => events.isOver)
  assert.equal((await askConsole(leader, '/_walcast/status', there)).status, 401)
  assert.equal(JSON.parse((await askConsole(leader, SESSION, there)).text).session, null)
})

labTest('foreign pages change nothing, with a cookie or in an open cluster', async (lab) => {
  const leader = await startLeader(lab)
  const cookie = cookieOf(await login(leader, (await create(leader, 'admin')).token))
  const own = pageHeaders(leader)
  const { origin: _origin, 'walcast-console': _header, 'sec-fetch-site': _site, ...bare } = own
  const foreign: Record<string, string>[] = [
    { ...own, origin: 'https://shop.example' },
    { ...own, origin: 'null' },
    { ...own, origin: leader.url.replace(/\d+$/, '1') },
    { ...own, origin: leader.url.replace('http:', 'https:'), 'sec-fetch-site': 'none' },
    { ...own, 'sec-fetch-site': 'cross-site' },
    { ...own, 'sec-fetch-site': 'same-site' },
    { ...bare, origin: leader.url },
    bare,
  ]
  for (const headers of foreign) {
    const answer = await askConsole(leader, PROMOTE, { ...POST, headers: { ...headers, cookie } })
    assert.match(answer.text, /WALCAST_FOREIGN_PAGE/, JSON.stringify(headers))
    const ended = { method: 'DELETE', body: '{}', headers: { ...headers, cookie } }
    assert.match((await askConsole(leader, SESSION, ended)).text, /WALCAST_FOREIGN_PAGE/)
    assert.match((await login(leader, 'wct_x', headers)).text, /WALCAST_FOREIGN_PAGE/)
  }
  for (const site of ['cross-site', 'same-site'])
    for (const path of ['/_walcast/status', EVENTS]) {
      const answer = await askConsole(leader, path, { headers: { cookie, 'sec-fetch-site': site } })
      assert.match(answer.text, /WALCAST_FOREIGN_PAGE/, site)
    }
  const good = await askConsole(leader, PROMOTE, { ...POST, headers: { ...own, cookie } })
  assert.match(good.text, /WALCAST_ALREADY_LEADER/)
  // A form sends no JSON.
  const form = { ...own, 'content-type': 'text/plain', cookie }
  assert.equal((await askConsole(leader, PROMOTE, { ...POST, headers: form })).status, 400)

  await leader.stop()
  const open = await lab.restart(leader, { environment: {} })
  assert.deepEqual(JSON.parse((await askConsole(open, SESSION)).text).session, {
    role: 'admin',
    token: null,
    expires: null,
  })
  for (const headers of foreign.filter((each) => each !== bare)) {
    const answer = await askConsole(open, PROMOTE, { ...POST, headers })
    assert.match(answer.text, /WALCAST_FOREIGN_PAGE/, JSON.stringify(headers))
    const forget = { method: 'DELETE', headers }
    const forgotten = await askConsole(open, '/_walcast/replicas?node=a', forget)
    assert.match(forgotten.text, /WALCAST_FOREIGN_PAGE/)
  }
  const allowed = await askConsole(open, PROMOTE, { ...POST, headers: own })
  assert.match(allowed.text, /WALCAST_ALREADY_LEADER/)
  const rebound = { headers: { host: 'shop.example' } }
  assert.match((await askConsole(open, '/_walcast/', rebound)).text, /WALCAST_FOREIGN_PAGE/)
})

labTest('what a stranger sends: wrong tokens, large bodies, odd paths and headers', async (lab) => {
  const leader = await startLeader(lab)
  const right = await create(leader, 'read')
  const wrong = await Promise.all(Array.from({ length: 14 }, () => login(leader, newToken().text)))
  const codes = wrong.map(({ text }) => JSON.parse(text).code)
  assert.ok(codes.includes('WALCAST_UNAUTHORIZED'))
  assert.ok(codes.includes('WALCAST_TOO_MANY_ATTEMPTS'))
  assert.ok(wrong.some(({ headers }) => Number(headers['retry-after']) > 0))
  // The right one waits for nobody's guesses.
  assert.equal((await login(leader, right.token)).status, 200)
  assert.equal((await login(leader, 'x'.repeat(2000))).status, 400)
  assert.equal((await login(leader, `${right.token}\r\nset-cookie: a=b`)).status, 400)
  for (const body of ['', '[]', '{"token":7}', '{', '{"__proto__":{"token":"a"}}']) {
    const answer = await askConsole(leader, SESSION, {
      method: 'POST',
      headers: pageHeaders(leader),
      body,
    })
    assert.equal(answer.status, 400, body)
  }
  for (const path of [
    '/_walcast/../package.json',
    '/_walcast/%2e%2e/package.json',
    '/_walcast/..%2fpackage.json',
    '/_walcast/console.js%00',
    '/_walcast/console.js/',
    '/_walcast/console.js.br',
    '/_walcast//console.js',
    '/_walcast/constructor',
    '/_walcast/%5c..%5cpackage.json',
  ]) {
    const { status, text } = await askConsole(leader, path)
    assert.ok(status === 401 || status === 400, `${path}: ${status} ${text}`)
  }
  // A header that the answer would repeat ends nowhere.
  const socket = connect(leader.options.port, '127.0.0.1')
  const said: Buffer[] = []
  socket.on('data', (chunk) => said.push(chunk))
  socket.end(
    'GET /_walcast?a=%0d%0aset-cookie:b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n' +
      'If-None-Match: "a%0d%0ab"\r\nCookie: =;;walcast-\r\n\r\n',
  )
  await within('the answer', once(socket, 'close'))
  const answer = Buffer.concat(said).toString()
  assert.match(answer, /^HTTP\/1\.1 308 /)
  assert.doesNotMatch(answer, /set-cookie/i)
  for (const cookie of ['walcast-x=y', 'a'.repeat(9000), '__proto__=1', '=', ';;;'])
    assert.equal(
      (await askConsole(leader, '/_walcast/status', { headers: { cookie } })).status,
      401,
    )
})

labTest('over TLS the cookie is Secure; the control socket needs no login', async (lab) => {
  const leader = await startLeader(lab, SECRET, ['--tls'])
  const { token } = await create(leader, 'read')
  const headers = pageHeaders(leader)
  const body = JSON.stringify({ token })
  const answer = await fetchAny(`${leader.url}${SESSION}`, { method: 'POST', headers, body })
  assert.equal(answer.status, 200)
  assert.match(
    answer.headers.get('set-cookie') ?? '',
    /^__Secure-walcast-\w{12}=[\w-]{43}; Path=\/_walcast\/; HttpOnly; SameSite=Strict; Secure$/,
  )
  const socketPath = `${leader.db}-walcast/control.sock`
  const here = await askConsole(leader, SESSION, {}, { socketPath })
  assert.deepEqual(JSON.parse(here.text).session, { role: 'admin', token: null, expires: null })
  assert.equal((await askConsole(leader, '/_walcast/', {}, { socketPath })).status, 200)
  // The socket may have been forwarded to a port that a foreign page finds.
  const paged = {
    ...POST,
    headers: { 'content-type': 'application/json', origin: 'http://a.example' },
  }
  const promoted = await askConsole(leader, PROMOTE, paged, { socketPath })
  assert.match(promoted.text, /WALCAST_FOREIGN_PAGE/)
  const rebound = { headers: { host: 'a.example' } }
  const status = await askConsole(leader, '/_walcast/status', rebound, { socketPath })
  assert.match(status.text, /WALCAST_FOREIGN_PAGE/)
})
