import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AloneFence, type AloneLeader } from '../src/node/aloneFence.ts'

const AFTER_MS = 1000
const LOOK_MS = 250

/** A leader whose fence can be made to fail or to take its time; time passes by `pass`. */
class Lab {
  nowMs = 1_000_000
  heardMs = 0
  isChanging = false
  fenceFails = false
  fenceTakesMs = 0
  readonly did: string[] = []
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const fence = new AloneFence(AFTER_MS, {
      clock: { nowMs: () => this.nowMs },
      lastHeardMs: () => this.heardMs,
      fence: () => (this.isChanging ? undefined : leader),
      inBackground: (_what, change) => {
        this.isChanging = true
        void change()
          .catch(() => this.did.push('failed'))
          .finally(() => {
            this.isChanging = false
          })
      },
    })
    const leader = this.#leader()
    t.after(() => fence.stop())
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      this.nowMs += LOOK_MS
      this.#t.mock.timers.tick(LOOK_MS)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #leader(): AloneLeader {
    const lab = this
    let [isFenced, isClosed] = [false, false]
    return {
      get isFenced() {
        return isFenced
      },
      get isClosed() {
        return isClosed
      },
      async close() {
        lab.did.push('close')
        isClosed = true
        if (lab.fenceTakesMs > 0) await new Promise((resolve) => setTimeout(resolve, lab.fenceTakesMs))
        if (lab.fenceFails) throw new Error('an application holds the lock')
        isFenced = true
      },
      async open() {
        lab.did.push('open')
        isFenced = false
        isClosed = false
      },
    }
  }
}

test('closes when no replica is heard of for so long, and opens when one is', async (t) => {
  const lab = new Lab(t)
  await lab.pass(AFTER_MS)
  assert.deepEqual(lab.did, [])
  await lab.pass(5 * AFTER_MS)
  assert.deepEqual(lab.did, ['close'])
  lab.heardMs = lab.nowMs
  await lab.pass(LOOK_MS)
  assert.deepEqual(lab.did, ['close', 'open'])
})

test('a fence that could not be had: opens all the same when a replica is heard of', async (t) => {
  const lab = new Lab(t)
  lab.fenceFails = true
  await lab.pass(AFTER_MS + 2 * LOOK_MS)
  assert.deepEqual(lab.did, ['close', 'failed'])
  lab.heardMs = lab.nowMs
  await lab.pass(LOOK_MS)
  assert.deepEqual(lab.did, ['close', 'failed', 'open'])
})

test('a fence that could not be had is tried again at once while nobody is heard of', async (t) => {
  const lab = new Lab(t)
  lab.fenceFails = true
  await lab.pass(AFTER_MS + 2 * LOOK_MS)
  lab.fenceFails = false
  await lab.pass(LOOK_MS)
  assert.deepEqual(lab.did, ['close', 'failed', 'close'])
})

test('a fence that takes its time is not given up for that', async (t) => {
  const lab = new Lab(t)
  lab.fenceTakesMs = 3 * LOOK_MS
  await lab.pass(5 * AFTER_MS)
  assert.deepEqual(lab.did, ['close'])
})

test('a change of role that came to nothing does not open', async (t) => {
  const lab = new Lab(t)
  await lab.pass(2 * AFTER_MS)
  lab.isChanging = true
  await lab.pass(LOOK_MS)
  lab.isChanging = false
  await lab.pass(5 * AFTER_MS)
  assert.deepEqual(lab.did, ['close'])
})
