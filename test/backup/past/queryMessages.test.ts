/** The thread of a query waits for its answer, whatever wakes it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ANSWERED, STATE } from '../../../src/backup/past/queryMessages.ts'
import { until } from '../../support/until.ts'

const MODULE = new URL('../../../src/backup/past/queryMessages.js', import.meta.url).href
const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.module).then(({ answerIn }) =>
    parentPort.postMessage(answerIn(new Int32Array(workerData.control))))
`

test('a wake that belongs to the answer before is none', async (t) => {
  const control = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)
  const state = new Int32Array(control)
  const worker = new Worker(PROGRAM, { eval: true, workerData: { module: MODULE, control } })
  t.after(() => worker.terminate())
  const answered = once(worker, 'message')
  let isEarly = false
  worker.once('message', () => {
    isEarly = true
  })
  for (let i = 0; i < 3; i++)
    await until('it waits, and is woken', () => isEarly || Atomics.notify(state, STATE) === 1)
  assert.equal(isEarly, false, 'nothing was answered yet')
  Atomics.store(state, STATE, ANSWERED)
  Atomics.notify(state, STATE)
  assert.deepEqual(await answered, [ANSWERED])
})
