/** What is known of a node that was told something and did not answer. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { tellPeer, wasNotSent } from '../src/cluster/peerCalls.ts'
import { WalcastError } from '../src/errors.ts'

const IDENTITY = { secret: undefined, node: () => 'node-a', epoch: () => 1, nowMs: () => Date.now() }

async function failureAt(port: number): Promise<unknown> {
  const told = tellPeer(IDENTITY, `127.0.0.1:${port}`, '/_walcast/take-over', { epoch: 1 }, 2000)
  return told.then(
    () => assert.fail('it answered'),
    (error: unknown) => error,
  )
}

test('what could not be connected to was told nothing; one that broke off may have been', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  const brokeOff = await failureAt(address.port)
  assert.ok(brokeOff instanceof WalcastError && brokeOff.key === 'NODE_UNREACHABLE')
  assert.equal(wasNotSent(brokeOff), false)
  await new Promise((resolve) => server.close(resolve))
  const refused = await failureAt(address.port)
  assert.ok(refused instanceof WalcastError && refused.key === 'NODE_UNREACHABLE')
  assert.equal(wasNotSent(refused), true)
  assert.equal(wasNotSent(new WalcastError('NOT_FIT', { detail: '' })), false)
})
