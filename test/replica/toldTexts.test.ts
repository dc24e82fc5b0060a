/** Texts and times that another node sends with a refusal or before it closes a connection. */
import assert from 'node:assert/strict'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Message } from '../../proto/messages.ts'
import { errorOf as errorOfReplica, requireFromReplica } from '../../src/feed/replicaMessages.ts'
import { errorOf as errorOfLeader } from '../../src/replica/connectionErrors.ts'
import { readRefusal } from '../../src/replica/streamUpgrade.ts'
import { type ClaimKind, Claims } from '../../src/security/claims.ts'

const STEERING = `no\u001b[2J\u202e\u009b\r\n${'x'.repeat(5000)}`
const STEERS = /[\p{Cc}\p{Cf}]/u

test('the text of an error message steers no terminal and has a bound', () => {
  for (const code of ['STARTING', 'UNHEARD_OF'])
    for (const error of [
      errorOfLeader({ db: 'main', code, message: STEERING }, 'a:1'),
      errorOfReplica({ db: 'main', code, message: STEERING }),
    ]) {
      assert.match(error.message, /no \[2J x+/)
      assert.doesNotMatch(error.line, STEERS)
      assert.ok(error.message.length < 1200)
    }
})

test('a refused upgrade tells a plain text, and a time only if it can be one', async (t) => {
  let timeMs: unknown = 0
  const server = createServer((_, response) => {
    response.writeHead(503)
    response.end(
      JSON.stringify({ code: 'WALCAST_STARTING', message: STEERING.slice(0, 99), timeMs }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  for (const [told, read] of [
    [1_700_000_000_000, 1_700_000_000_000],
    [1e15 - 1, 1e15 - 1],
    ...[1e15, 2 ** 53, 1e300, -1, '1', null, {}].map((wrong) => [wrong, 0] as const),
  ] as const) {
    timeMs = told
    const refusal = await new Promise<Awaited<ReturnType<typeof readRefusal>>>((resolve, reject) =>
      get({ port, host: '127.0.0.1', agent: false }, (answer) =>
        resolve(readRefusal(answer, 'a:1')),
      ).on('error', reject),
    )
    assert.equal(refusal?.timeMs, read, String(told))
    assert.equal(refusal?.error.key, 'STARTING')
    assert.doesNotMatch(refusal?.error.message ?? '', STEERS)
  }
})

test('a message of a replica is judged before anything is done about it', () => {
  const refused: ClaimKind[] = []
  const claims = new Claims(
    () => ({ epoch: 3, txid: 9 }),
    (kind) => refused.push(kind),
  )
  const ack = (change: object) =>
    ({
      type: 'ack',
      body: { db: 'main', epoch: 3, txid: 9, checksum: '', durableTxid: 0, lagMs: 0, ...change },
      payload: Buffer.alloc(0),
    }) as Message
  const host = { db: 'main', claims }
  assert.equal(requireFromReplica(ack({}), host, true).type, 'ack')
  assert.throws(() => requireFromReplica(ack({ epoch: 2 ** 33 }), host, true), {
    code: 'WALCAST_CLAIM_REFUSED',
  })
  assert.throws(() => requireFromReplica(ack({ durableTxid: 2 ** 33 }), host, true), {
    code: 'WALCAST_CLAIM_REFUSED',
  })
  assert.deepEqual(refused, ['epoch', 'txid'])
})
