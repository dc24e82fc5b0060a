/** What the caller knows after a call that failed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { wasNotSent } from '../../src/cluster/peerCalls.ts'
import { WalcastError } from '../../src/errors.ts'
import { endingWithParent } from '../support/endsWithParent.ts'
import { callsOf } from '../support/peers.ts'

async function failureAt(port: number, timeoutMs = 2000): Promise<unknown> {
  const address = `127.0.0.1:${port}`
  const told = callsOf('node-a').tell(address, '/_walcast/take-over', { epoch: 1 }, timeoutMs)
  return told.then(
    () => assert.fail('it answered'),
    (error: unknown) => error,
  )
}

test('without a connection the call never arrived; after a broken one it may have', async () => {
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

/** Accepts no connection: its queue holds one, and later ones get no answer. */
const FULL_LISTENER = `
import socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
`

test('a call to a machine that does not answer never arrived', async (t) => {
  const [file, bound] = endingWithParent('python3', ['-c', FULL_LISTENER])
  const child = spawn(file, bound, { stdio: ['pipe', 'pipe', 'inherit'] })
  const port = Number(await once(child.stdout, 'data'))
  const waiting = connect(port, '127.0.0.1')
  await once(waiting, 'connect')
  t.after(() => {
    waiting.destroy()
    child.stdin.end()
  })
  assert.equal(wasNotSent(await failureAt(port, 400)), true)
})
