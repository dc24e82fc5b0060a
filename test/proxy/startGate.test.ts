/** Requests that come before their node can serve: they wait, and are told why they are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartGate } from '../../src/proxy/startGate.ts'

/** Against hanging only. */
const LONG_MS = 60_000

function clientFor(holdMs: number) {
  const gone = new AbortController()
  const endMs = performance.now() + holdMs
  return {
    leave: () => gone.abort(),
    gone: gone.signal,
    get isGone() {
      return gone.signal.aborted
    },
    heldUntilMs: () => endMs,
  }
}

test('a request waits until its node has started', async () => {
  const gate = new StartGate({ maxHeld: 1, holdMs: LONG_MS })
  const waits = gate.wait(clientFor(LONG_MS))
  assert.deepEqual([gate.held, gate.isOpen], [1, false])
  await assert.rejects(gate.wait(clientFor(LONG_MS)), { key: 'TOO_MANY_HELD' })
  gate.open()
  assert.equal(await waits, true)
  assert.equal(await gate.wait(clientFor(LONG_MS)), true)
})

test('a node that takes too long to start, or stops, says so', async () => {
  const gate = new StartGate({ maxHeld: 9, holdMs: 1 })
  await assert.rejects(gate.wait(clientFor(0)), { key: 'STARTING' })
  const waits = gate.wait(clientFor(LONG_MS))
  gate.stop()
  await assert.rejects(waits, { key: 'STOPPING' })
  assert.ok(gate.isStopping)
})

test('a client that leaves is told nothing', async () => {
  const gate = new StartGate({ maxHeld: 9, holdMs: LONG_MS })
  const client = clientFor(LONG_MS)
  const waits = gate.wait(client)
  client.leave()
  assert.equal(await waits, false)
  assert.equal(gate.held, 0)
})
