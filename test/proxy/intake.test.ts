/**
 * Requests that another node forwards while this one changes: which epochs are taken, and what
 * their waiting time means.
 */
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { WalcastError } from '../../src/errors.ts'
import type { Client } from '../../src/proxy/client.ts'
import { TrustedProxies } from '../../src/proxy/clientAddress.ts'
import { firstAttemptOf } from '../../src/proxy/firstAttempt.ts'
import { Intake, type IntakeOptions } from '../../src/proxy/intake.ts'
import { Authenticator } from '../../src/security/auth.ts'
import { Claims } from '../../src/security/claims.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { STREAMED } from '../../src/security/requestSignature.ts'
import { signatureOf } from '../support/signatures.ts'

const INCARNATION = '0123456789abcdef'
const SECRET = 'correct horse battery staple'
const EPOCH = 5

async function setUp(context: TestContext, execute: (client: Client) => Promise<void>, waitMs = 0) {
  const higher: number[] = []
  const clock = { nowMs: () => Date.now() }
  const parts: Partial<IntakeOptions> = {
    proxies: new TrustedProxies([]),
    maxRequests: 10,
    maxNodeRequests: 10,
    address: 'a:1',
    leader: () => 'a:1',
    epoch: () => EPOCH,
    onHigherEpoch: (_node, epoch) => higher.push(epoch),
    claims: new Claims(() => ({ epoch: EPOCH, txid: 1 })),
    bodyOf: ({ code, message, cure }) => ({ code, message, cure }),
    onRefused() {},
    onRequest() {},
    onFailure() {},
  }
  const stubs = {
    auth: new Authenticator(new ClusterSecrets([SECRET]), clock, () => 'a'),
    view: { role: () => 'leader', refuseReplicas: () => undefined, incarnation: () => INCARNATION },
    side: { canExecute: true, execute },
    admission: { refuse: () => undefined },
    detour: { untilTaken: () => delay(waitMs, true) },
  }
  const intake = new Intake({ ...parts, ...stubs } as unknown as IntakeOptions)
  const connections = { prove() {}, giveWay: () => false }
  const server = createServer(
    (incoming, response) => void intake.handle(incoming, response, connections),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const sendAs = (secret: string, epoch: number, headers: Record<string, string> = {}) =>
    new Promise<string>((resolve, reject) => {
      const token = signatureOf(secret, {
        purpose: 'forward',
        method: 'POST',
        path: '/w',
        from: 'b',
        to: 'a',
        epoch,
        nowMs: Date.now() + 1,
        body: STREAMED,
        headers: Object.entries(headers).flat(),
      })
      const all = { 'x-replica-auth': token, ...headers }
      const asked = {
        port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/w',
        agent: false,
        headers: all,
      }
      request(asked, (answer) => {
        answer.resume()
        resolve(`${answer.statusCode} ${answer.headers['walcast-not-executed'] ?? ''}`.trim())
      })
        .on('error', reject)
        .end()
    })
  const send = (epoch: number, headers?: Record<string, string>) => sendAs(SECRET, epoch, headers)
  return { send, sendAs, higher }
}

test('the time that a request waits here adds to the age of its first attempt', async (context) => {
  const agoMs: number[] = []
  const { send } = await setUp(
    context,
    async ({ request: incoming, response }) => {
      agoMs.push(firstAttemptOf(incoming)?.agoMs ?? -1)
      if (agoMs.length < 3)
        throw new WalcastError('APP_UNREACHABLE', { url: 'http://a', detail: 'ECONNREFUSED' })
      response.end('done')
    },
    50,
  )
  assert.equal(await send(EPOCH, { 'walcast-first-attempt': `${INCARNATION}; agoMs=7000` }), '200')
  const [first, second, third] = agoMs
  assert.equal(first, 7000)
  assert.ok(second >= 7045 && third >= second + 45, String(agoMs))
})

test('a request of another epoch is refused, a later epoch is reported', async (context) => {
  let executed = 0
  const { send, higher } = await setUp(context, async ({ response }) => {
    executed++
    response.end('done')
  })
  assert.equal(await send(EPOCH - 1), '503 EARLIER_EPOCH')
  assert.deepEqual(higher, [])
  assert.match(await send(EPOCH + 1), / STALE_LEADER$/)
  assert.deepEqual([higher, executed], [[EPOCH + 1], 0])
  assert.equal(await send(EPOCH), '200')
})

test('an epoch counts only in a good token, and only within reach', async (context) => {
  let executed = 0
  const { send, sendAs, higher } = await setUp(context, async ({ response }) => {
    executed++
    response.end('done')
  })
  assert.match(await sendAs('another secret of this size', EPOCH + 1), /^401 /)
  assert.match(await sendAs('another secret of this size', EPOCH - 1), /^401 /)
  assert.match(await send(EPOCH + 2 ** 32 + 1), /^409 CLAIM_REFUSED$/)
  assert.match(await send(999_999_999_999_999), /^409 CLAIM_REFUSED$/)
  for (const epoch of [2 ** 53 - 1, 2 ** 53, -1, 1.5]) assert.match(await send(epoch), /^401 /)
  assert.deepEqual([higher, executed], [[], 0])
  assert.match(await send(EPOCH + 2 ** 32), / STALE_LEADER$/)
  assert.deepEqual([higher, executed], [[EPOCH + 2 ** 32], 0])
})
