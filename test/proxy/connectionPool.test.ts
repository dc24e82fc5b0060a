/**
 * What is known of a request that meets the end of its connection: real sockets of two processes.
 */
import assert from 'node:assert/strict'
import { SendError } from '../../src/proxy/sendError.ts'
import { Upstream } from '../../src/proxy/upstream.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { within } from '../support/until.ts'

const AFTER_MS = 20

async function start(lab: Lab): Promise<Upstream> {
  const app = lab.program('resettingApp', { afterMs: AFTER_MS })
  const { text } = await app.line((line) => line.includes('"port"'))
  const { port } = JSON.parse(text)
  const upstream = new Upstream({
    origin: `http://127.0.0.1:${port}`,
    maxConnections: 4,
    connectTimeoutMs: 30_000,
    answerTimeoutMs: 60_000,
    idleMs: 10_000,
  })
  lab.atEnd(() => upstream.close())
  return upstream
}

/** How many requests the server has read, including this one. */
async function send(
  upstream: Upstream,
  path: string,
  reuse: 'any' | 'sure' | 'none',
): Promise<number> {
  const outgoing = { method: 'POST', path, headers: ['content-length', '0'], body: null, reuse }
  const answer = await within('an answer', upstream.send(outgoing).answer)
  return new Promise((resolve, reject) => {
    let text = ''
    answer.pipeTo({
      write(chunk) {
        text += chunk.toString()
        return true
      },
      end: () => resolve(Number(text)),
      fail: reject,
    })
  })
}

/**
 * After an answer, so that its connection is idle. The event loop does not turn meanwhile: the
 * server ends the connection unseen.
 */
async function standStill(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AFTER_MS * 20)
}

labTest('a request whose first byte the system refuses was not sent', async (lab) => {
  const upstream = await start(lab)
  assert.equal(await send(upstream, '/reset', 'none'), 1)
  await standStill()
  const error = await send(upstream, '/x', 'any').catch((reason) => reason)
  assert.ok(error instanceof SendError, String(error))
  assert.deepEqual([error.wasSent, error.isStale], [false, true])
  assert.equal(await send(upstream, '/x', 'none'), 2, 'the one before never came')
})

labTest('a request written behind the end of its connection has no known outcome', async (lab) => {
  const upstream = await start(lab)
  assert.equal(await send(upstream, '/end', 'none'), 1)
  await standStill()
  const error = await send(upstream, '/x', 'any').catch((reason) => reason)
  assert.ok(error instanceof SendError, String(error))
  assert.deepEqual([error.wasSent, error.isStale], [true, false])
})

labTest('a request that must not be sent twice meets neither', async (lab) => {
  const upstream = await start(lab)
  let read = 0
  for (const path of ['/reset', '/end', '/reset']) {
    assert.equal(await send(upstream, path, 'none'), ++read)
    await standStill()
    assert.equal(await send(upstream, '/x', 'sure'), ++read)
  }
})
