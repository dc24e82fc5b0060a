/** Runs of the log: whole batches of one history that follow each other, each of them once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BatchHead } from '../../src/backup/batchRecord.ts'
import { type ChangesRun, nextRun } from '../../src/backup/changesRun.ts'
import { A, B, entriesOf, given, type HeadEntry, headsOf, stand } from '../support/batchLogs.ts'

const LIMITS = { bytes: 100, batches: 5 }

/** The runs of a log, one after another, until nothing is whole. */
async function runsOf(entries: readonly HeadEntry[], limits = LIMITS): Promise<ChangesRun[]> {
  const runs: ChangesRun[] = []
  for (let from = 0; ; ) {
    const run = await nextRun(given(entries.slice(from)), limits)
    if (!run) return runs
    runs.push(run)
    from = run.next.offset
  }
}

/** Messages of this many bytes each; `change`: before the batch something of the kind happens. */
const BATCH = fc.record({
  messages: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 }),
  txids: fc.integer({ min: 1, max: 3 }),
  change: fc.constantFrom('none', 'none', 'none', 'epoch', 'incarnation', 'gap', 'torn'),
})

interface Laid {
  readonly heads: BatchHead[]
  readonly batches: (readonly [number, number])[]
}

function laid(batches: readonly (typeof BATCH extends fc.Arbitrary<infer T> ? T : never)[]): Laid {
  const heads: BatchHead[] = []
  const whole: (readonly [number, number])[] = []
  let end = stand(1)
  for (const { messages, txids, change } of batches) {
    if (change === 'gap') end = stand(end.txid + 5, end.incarnation, end.epoch)
    const epoch = end.epoch + (change === 'epoch' || change === 'incarnation' ? 1 : 0)
    const incarnation = change === 'incarnation' ? (end.incarnation === A ? B : A) : end.incarnation
    const to = stand(end.txid + txids, incarnation, epoch)
    const made = headsOf(
      end,
      to,
      messages.map((bytes) => Buffer.alloc(bytes)),
    )
    if (change === 'torn') heads.push(...made.slice(0, -1))
    heads.push(...made)
    whole.push([end.txid, to.txid])
    end = to
  }
  return { heads, batches: whole }
}

test('whatever the log has, each batch is in one run, whole, with its like', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(BATCH, { maxLength: 30 }), async (drawn) => {
      const { heads, batches } = laid(drawn)
      const found: (readonly [number, number])[] = []
      for (const { from, to, parts } of await runsOf(entriesOf(heads))) {
        const records = parts.flatMap(({ at, entries }) =>
          heads.slice(at.offset, at.offset + entries),
        )
        assert.deepEqual(records[0].from, from)
        assert.deepEqual(records.at(-1)?.to, to)
        assert.equal(new Set(records.map((head) => head.to.incarnation)).size, 1)
        for (const head of records) if (head.isLast) found.push([head.from.txid, head.to.txid])
        const starts = records.filter(({ isFirst }) => isFirst)
        assert.equal(starts.length, records.filter(({ isLast }) => isLast).length)
        assert.ok(starts.length <= LIMITS.batches)
        const bytes = records.reduce((sum, head) => sum + head.bytes, 0)
        assert.ok(parts.length === 1 ? bytes <= LIMITS.bytes : starts.length === 1)
        for (const [i, part] of parts.entries()) {
          assert.equal(part.continues, i > 0)
          assert.equal(part.isOpen, i < parts.length - 1)
        }
      }
      assert.deepEqual(found, batches)
    }),
    { numRuns: 300 },
  )
})

test('a batch without its middle is no batch', async () => {
  const of = (from: number, to: number) =>
    headsOf(stand(from), stand(to), [Buffer.alloc(1), Buffer.alloc(1)])
  const [first] = of(1, 2)
  const [, last] = of(3, 4)
  assert.deepEqual(await runsOf(entriesOf([first, last])), [])
  const runs = await runsOf(entriesOf([first, last, ...of(4, 5)]))
  assert.deepEqual(
    runs.map(({ from, to }) => [from.txid, to.txid]),
    [[4, 5]],
  )
})

test('a run says whether the log has more of what it could not take', async () => {
  const batch = (from: number, incarnation = A, bytes = 10) =>
    headsOf(stand(from, incarnation), stand(from + 1, incarnation), [
      Buffer.alloc(bytes),
      Buffer.alloc(bytes),
    ])
  const isToEnd = async (heads: readonly BatchHead[], cutTxid = 0) =>
    (await nextRun(given(entriesOf(heads)), { ...LIMITS, cutTxid }))?.isToEnd
  const two = [...batch(1), ...batch(2)]
  assert.equal(await isToEnd(two), true)
  assert.equal(await isToEnd([...two, ...batch(3).slice(0, 1)]), true)
  assert.equal(await isToEnd(two, 2), false)
  assert.equal(await isToEnd(two, 3), true)
  assert.equal(await isToEnd([...two, ...batch(3, B)]), false)
  assert.equal(await isToEnd([...two, ...batch(3, A, 90)]), false)
  assert.equal(await isToEnd([1, 2, 3, 4, 5, 6].flatMap((at) => batch(at, A, 1))), false)
  assert.equal(await isToEnd([1, 2, 3, 4, 5].flatMap((at) => batch(at, A, 1))), true)
})
