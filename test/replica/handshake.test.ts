/** A welcome that arrives while the node turns to another leader. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../../proto/messages.ts'
import { UpstreamSession, type UpstreamSessionParts } from '../../src/replica/upstreamSession.ts'
import { Claims } from '../../src/security/claims.ts'

const WELCOME = {
  db: 'main',
  node: 'node-a',
  source: 'node-a',
  sourceAddress: '',
  heartbeatMs: 500,
}

/**
 * Returns what the session adopted and where it connected, when `during` happens while the node
 * records the welcome.
 */
async function welcomed(during: (subscription: { leader: string; connectionId: number }) => void) {
  const subscription = { leader: '10.0.0.1:1', connectionId: 1, send() {} }
  const seen: string[] = []
  const parts: unknown = {
    options: {
      db: 'main',
      clock: { nowMs: () => 0 },
      access: { apply() {} },
      claims: new Claims(() => ({ epoch: 1, txid: 1 })),
      observer: {
        onReceived() {},
        onConnected(_: string, address: string) {
          seen.push(`connected to ${address}`)
          throw new Error('that is all')
        },
      },
    },
    subscription,
    slot: {},
    lag: { lagMs: () => 0, onConnected() {}, onWelcome() {} },
    trust: {},
    receiver: {},
    handshake: {
      hello: () => ({}),
      async adopt(_: object, __: undefined, address: string) {
        seen.push(`adopted ${address}`)
        await Promise.resolve()
        during(subscription)
      },
      onWelcome: () => false,
    },
  }
  const session = new UpstreamSession(parts as UpstreamSessionParts)
  session.sayHello()
  const message: unknown = { type: 'welcome', body: WELCOME, payload: Buffer.alloc(0) }
  await assert.rejects(async () => session.onMessage(message as Message, 0, Buffer.alloc(0)))
  return seen
}

test('a welcome counts only on the connection that brought it', async () => {
  const adopted = 'adopted 10.0.0.1:1'
  assert.deepEqual(await welcomed(() => {}), [adopted, 'connected to 10.0.0.1:1'])
  const moved = await welcomed((subscription) => {
    subscription.leader = '10.0.0.2:1'
  })
  assert.deepEqual(moved, [adopted])
  const closed = await welcomed((subscription) => {
    subscription.connectionId++
  })
  assert.deepEqual(closed, [adopted])
})
