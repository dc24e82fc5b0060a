/** A welcome while the node comes to follow another leader. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../../proto/messages.ts'
import { UpstreamSession, type UpstreamSessionParts } from '../../src/replica/upstreamSession.ts'

const WELCOME = {
  db: 'main',
  node: 'node-a',
  source: 'node-a',
  sourceAddress: '',
  heartbeatMs: 500,
}

/**
 * Gives what was adopted and who was connected to, when `during` happens while the welcome is being
 * written down.
 */
async function welcomed(during: (subscription: { leader: string; connectionId: number }) => void) {
  const subscription = { leader: '10.0.0.1:1', connectionId: 1, send() {} }
  const seen: string[] = []
  const parts: unknown = {
    options: {
      db: 'main',
      clock: { nowMs: () => 0 },
      access: { apply() {} },
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
    streamed: {},
    meeting: {
      hello: () => ({}),
      async adopt(_: object, __: undefined, address: string) {
        seen.push(`adopted ${address}`)
        await Promise.resolve()
        during(subscription)
      },
      onWelcome: () => false,
    },
  }
  const conversation = new UpstreamSession(parts as UpstreamSessionParts)
  conversation.sayHello()
  const message: unknown = { type: 'welcome', body: WELCOME, payload: Buffer.alloc(0) }
  await assert.rejects(async () => conversation.onMessage(message as Message, 0, Buffer.alloc(0)))
  return seen
}

test('a welcome is that of the connection that it came by', async () => {
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
