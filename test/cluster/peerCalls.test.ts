/** What the caller knows after a call that failed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { wasNotSent } from '../../src/cluster/peerCalls.ts'
import { WalcastError } from '../../src/errors.ts'
import { endingWithParent } from '../support/endsWithParent.ts'
import { fakeNode } from '../support/fakeNode.ts'
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

test('the text of an error that a node answers steers no terminal', async (t) => {
  for (const [code, key] of [
    ['WALCAST_NOT_FIT', 'NOT_FIT'],
    ['WALCAST_UNHEARD_OF', 'NODE_ANSWER'],
  ]) {
    const message = `\u001b[2Jno\u202e\u009b\r\n${'x'.repeat(5000)}`
    const node = await fakeNode(t, () => ({ status: 409, body: { code, message } }))
    const error = await failureAt(Number(node.address.split(':')[1]))
    assert.ok(error instanceof WalcastError && error.key === key)
    assert.match(error.message, /\[2Jno x+/)
    assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u)
    assert.ok(error.message.length <= 1100)
  }
})

test('what is no answer of a node to the question who leads counts as none', async (t) => {
  const whole = {
    ...{ node: 'node-b', cluster: 'c', role: 'leader', ready: true, epoch: 1, term: 1, txid: 1 },
    ...{ address: '10.0.0.2:1', timeMs: 1 },
  }
  let said: object = {}
  const node = await fakeNode(t, () => ({ body: { ...whole, ...said } }))
  const isHeard = async (change: object) => {
    said = change
    return (await callsOf('node-a').askAll([node.address], 2000)).length === 1
  }
  assert.equal(await isHeard({}), true)
  for (const wrong of [
    ...[{ node: '' }, { node: 1 }, { role: 'king' }, { ready: 1 }, { epoch: '1' }, { term: null }],
    ...[{ txid: {} }, { positionEpoch: '1' }, { history: 'a@b' }, { cluster: 'c\u001b' }],
    ...[{ instance: 'i\u202e' }, { lastLeader: 'a b' }, { address: 5 }, { upMs: -1 }],
    ...[{ timeMs: '1' }, { timeMs: 1e17 }, { timeMs: null }],
  ])
    assert.equal(await isHeard(wrong), false, JSON.stringify(wrong))
})
