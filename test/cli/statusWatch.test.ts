/** Progress of work inside nodes, by their statuses. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { addressTarget } from '../../src/cli/nodeTarget.ts'
import { ScrubCount } from '../../src/cli/scrubProgress.ts'
import { count, fields } from '../../src/cli/shape.ts'
import { StatusWatch } from '../../src/cli/statusWatch.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { SteppedTime } from '../support/progressStream.ts'

test('nodes that read their pages count together, each at its own pace', () => {
  const scrubs = new ScrubCount(['a', 'b', 'c'])
  const told = (pages: number, page?: number) => ({
    ...{ pageSize: 100, pages },
    scrub: page === undefined ? {} : { running: { page } },
  })
  assert.deepEqual([scrubs.progress.done, scrubs.progress.total], [0, undefined])
  scrubs.hear('a', told(10, 5))
  scrubs.hear('b', told(30))
  assert.deepEqual([scrubs.progress.done, scrubs.progress.total], [500, undefined])
  // It was too quick to tell.
  scrubs.onDone('c')
  assert.deepEqual([scrubs.progress.done, scrubs.progress.total], [500, 4000])
  scrubs.onDone('a')
  scrubs.hear('b', told(30, 3))
  assert.deepEqual([scrubs.progress.done, scrubs.progress.total], [1300, 4000])
})

test('a node is asked again until it is left; what it cannot say is no failure', async (t) => {
  const answers = [
    { body: { pages: 1 } },
    { status: 500, body: {} },
    { body: { pages: 'many' } },
    { body: { pages: 2 } },
  ]
  const asked = new EventEmitter()
  const node = await fakeNode(t, ({ path }) => {
    assert.equal(path, '/_walcast/status')
    setImmediate(() => asked.emit('asked'))
    return answers.shift() ?? { body: { pages: 3 } }
  })
  const time = new SteppedTime(t)
  const target = addressTarget(node.address)
  const heard = new EventEmitter()
  const pages: number[] = []
  const watch = new StatusWatch<{ pages: number }>(
    [target],
    fields({ pages: count }),
    (_, told) => {
      pages.push(told.pages)
      heard.emit('heard')
    },
  )
  for (let looks = 0; looks < 1000 && pages.length < 2; looks++) {
    time.pass(1000)
    await new Promise((resolve) => setImmediate(resolve))
    if (node.requests.length === 0) await once(asked, 'asked')
  }
  assert.deepEqual(pages, [1, 2])
  watch.leave(target)
  const { length } = node.requests
  time.pass(10_000)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(node.requests.length, length)
})
