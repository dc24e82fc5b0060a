/** Who is at the other end of a new connection: nodes, and others that want to pass for one. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { proveConnection } from '../../src/cluster/connectionProof.ts'
import { AnswerTooLong } from '../../src/cluster/socketExchange.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { fakeProof } from '../support/fakeProof.ts'
import { answerText, type RawServer, rawServer } from '../support/rawServer.ts'

const SECRET = 'correct horse battery staple'
const SECRETS = new ClusterSecrets([SECRET])
const BODY = '{"node":"node-b"}'

async function connectTo(t: TestContext, { port }: RawServer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

const challengeIn = (text: string) => /^walcast-challenge: (.*)\r$/im.exec(text)?.[1] ?? ''

interface Claim {
  readonly secret?: string
  readonly challenge?: string
  readonly path?: string
  readonly method?: string
  readonly status?: number
  readonly proven?: string
}

/** A whole answer to the question `text`, with a proof of what `claim` says. */
function provenAnswer(text: string, claim: Claim = {}): string {
  const proof = fakeProof({
    secret: SECRET,
    node: 'node-b',
    challenge: challengeIn(text),
    method: 'GET',
    path: '/_walcast/proof',
    status: 200,
    body: claim.proven ?? BODY,
    ...claim,
  })
  return answerText(200, BODY, [`walcast-proof: ${proof}`])
}

async function proven(t: TestContext, answer: (text: string) => string, fingerprint = '') {
  const server = await rawServer(t, (text, socket) => void socket.write(answer(text)))
  const socket = await connectTo(t, server)
  return proveConnection(socket, SECRETS, server.address, fingerprint)
}

test('a node that knows the secret proves itself, and the connection stays', async (t) => {
  const server = await rawServer(t, (text, socket) => void socket.write(provenAnswer(text)))
  const socket = await connectTo(t, server)
  const node = await proveConnection(socket, SECRETS, server.address, '')
  assert.deepEqual([node?.node, node?.aheadMs], ['node-b', 0])
  assert.equal(socket.destroyed, false)
  assert.equal(socket.listenerCount('data'), 0)
  // The question holds nothing but the challenge and the id of the secret.
  const [asked] = server.received
  assert.match(asked, /^GET \/_walcast\/proof HTTP\/1.1\r\n/)
  assert.match(challengeIn(asked), new RegExp(`^[0-9a-f]{64} ${SECRETS.ids[0]}$`))
  assert.ok(!asked.includes(SECRET))
})

test('a clock that differs is told', async (t) => {
  const told = (timeMs: unknown) => `{"node":"node-b","timeMs":${JSON.stringify(timeMs)}}`
  const ahead = async (timeMs: unknown) => {
    const server = await rawServer(t, (text, socket) => {
      const body = told(timeMs)
      const asked = { secret: SECRET, node: 'node-b', challenge: challengeIn(text), body }
      const proof = fakeProof({ ...asked, method: 'GET', path: '/_walcast/proof', status: 200 })
      socket.write(answerText(200, body, [`walcast-proof: ${proof}`]))
    })
    const node = await proveConnection(await connectTo(t, server), SECRETS, server.address, '')
    return node?.aheadMs ?? Number.NaN
  }
  assert.ok(Math.abs((await ahead(Date.now() + 3_600_000)) - 3_600_000) < 60_000)
  for (const strange of ['soon', null, {}]) assert.equal(await ahead(strange), 0)
})

test('a stranger proves nothing', async (t) => {
  const used: string[] = []
  const wrong: readonly [string, (text: string) => string][] = [
    ['no proof', () => answerText(200, BODY)],
    ['no node', () => answerText(404, '{"message":"nothing here"}')],
    ['an empty proof', () => answerText(200, BODY, ['walcast-proof:'])],
    ['the secret of somebody else', (text) => provenAnswer(text, { secret: 'somebody else' })],
    ['no secret', (text) => provenAnswer(text, { secret: '' })],
    ['another challenge', (text) => provenAnswer(text, { challenge: `${'0'.repeat(64)} aaaa` })],
    ['another path', (text) => provenAnswer(text, { path: '/leader' })],
    ['another method', (text) => provenAnswer(text, { method: 'POST' })],
    ['another status', (text) => provenAnswer(text, { status: 503 })],
    ['another body', (text) => provenAnswer(text, { proven: '{"node":"node-c"}' })],
    ['two proofs', (text) => provenAnswer(text).replace(/^(walcast-proof: .*\r\n)/m, '$1$1')],
    [
      'a proof that was heard elsewhere',
      (text) => {
        used.push(provenAnswer(text))
        return used.length === 1 ? answerText(200, BODY) : used[0]
      },
    ],
    ['the same again', () => used[0]],
    ['a redirect', () => answerText(302, '', ['location: http://127.0.0.1:1/'])],
    ['the question itself', (text) => answerText(200, text)],
  ]
  for (const [what, answer] of wrong) assert.equal(await proven(t, answer), undefined, what)
  assert.equal(used.length, 1)
  const replayed = await proven(t, () => used[0])
  assert.equal(replayed, undefined, 'a proof is good for one challenge')
})

test('a proof in plain text is none over TLS: it covers the key of the connection', async (t) => {
  assert.equal(await proven(t, (text) => provenAnswer(text), 'ab'.repeat(32)), undefined)
})

test('the answer to the question is short', async (t) => {
  await assert.rejects(
    proven(t, () => answerText(200, ' '.repeat(5000))),
    AnswerTooLong,
  )
})

test('a connection that breaks is an error', async (t) => {
  const server = await rawServer(
    t,
    (text, socket) => void socket.end(provenAnswer(text).slice(0, -5)),
  )
  const socket = await connectTo(t, server)
  await assert.rejects(proveConnection(socket, SECRETS, server.address, ''))
})
