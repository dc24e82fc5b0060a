/** The connection to the leader: what it reads from the network, and until when. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { encode } from '../../proto/codec.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { Subscription } from '../../src/replica/subscription.ts'
import { until } from '../support/until.ts'

const SUMS = 4096
const MESSAGE = encode(
  'groups',
  { db: 'd', pages: 1, firstGroup: 0, sums: SUMS, last: false },
  8 * SUMS,
)
const SENT = 64
const MAX_QUEUED_BYTES = 4 * MESSAGE.length

test('finishing reads nothing more, however much the leader has sent', async (t) => {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: () => 'walcast.1',
  })
  await once(server, 'listening')
  t.after(() => server.close())
  server.on('connection', (socket) => {
    for (let i = 0; i < SENT; i++) socket.send(MESSAGE)
  })
  let handled = 0
  const subscription = new Subscription(
    {
      db: 'd',
      leader: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      reconnectMinMs: 10,
      reconnectMaxMs: 100,
      handshakeTimeoutMs: 20_000,
      silenceMs: 20_000,
      maxQueuedBytes: MAX_QUEUED_BYTES,
    },
    {
      clock: systemClock,
      dial: () => undefined,
      onOpen() {},
      // Long enough for the next message to arrive.
      async onMessage() {
        handled++
        for (let i = 0; i < 20; i++) await immediate()
      },
      onHeard() {},
      onLeaderClock() {},
      onClosed() {},
    },
  )
  const release = subscription.hold()
  subscription.start()
  await until('it stops reading', () => subscription.queuedBytes > MAX_QUEUED_BYTES)
  const finished = subscription.finish(60_000)
  release()
  assert.equal(await finished, 0)
  assert.ok(handled >= MAX_QUEUED_BYTES / MESSAGE.length, `${handled} handled: what had arrived`)
  assert.ok(handled < SENT / 2, `${handled} handled: also what had not arrived`)
})
