/** Pages that wait: each has its own bytes, whatever came and went before it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { writePages } from '../../src/backup/pageWrites.ts'
import { PendingPages } from '../../src/backup/pendingPages.ts'

const PAGE_BYTES = 65_536
const filled = (value: number) => Buffer.alloc(PAGE_BYTES, value)

test('a page has what it was given last, and memory of pages that left is used again', () => {
  const pages = new PendingPages(PAGE_BYTES)
  const given = new Map<number, number>()
  let seed = 7
  const below = (bound: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % bound
  }
  for (let step = 0; step < 500; step++) {
    const number = 1 + below(60)
    if (below(3) === 0) {
      pages.delete(number)
      given.delete(number)
    } else {
      pages.set(number, filled(step % 256))
      given.set(number, step % 256)
    }
    if (step === 250) {
      pages.clear()
      given.clear()
    }
  }
  assert.equal(pages.size, given.size)
  assert.deepEqual([...pages.numbers()].sort(), [...given.keys()].sort())
  for (const [number, value] of given)
    assert.ok(pages.get(number).equals(filled(value)), `${number}`)
})

test('a page that does not wait is not given', () => {
  const pages = new PendingPages(512)
  pages.set(3, Buffer.alloc(512, 1))
  pages.delete(3)
  pages.delete(4)
  assert.equal(pages.size, 0)
  assert.throws(() => pages.get(3), RangeError)
})

test('bytes are copied: what they came from may change', () => {
  const pages = new PendingPages(512)
  const bytes = Buffer.alloc(512, 1)
  pages.set(1, bytes)
  bytes.fill(2)
  assert.ok(pages.get(1).equals(Buffer.alloc(512, 1)))
})

/** `keep`: so many pages from one piece of memory. */
const STEP = fc.oneof(
  fc.record({ kind: fc.constant('set'), page: fc.integer({ min: 1, max: 40 }), count: fc.nat(0) }),
  fc.record({
    kind: fc.constant('delete'),
    page: fc.integer({ min: 1, max: 40 }),
    count: fc.nat(0),
  }),
  fc.record({
    kind: fc.constant('keep'),
    page: fc.integer({ min: 1, max: 40 }),
    count: fc.integer({ min: 1, max: 12 }),
  }),
)

test('what is written is what each page was given last, kept or copied', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 40 }), async (steps) => {
      const pages = new PendingPages(512)
      const given = new Map<number, number>()
      let kept = 0
      for (const [i, { kind, page, count }] of steps.entries()) {
        const value = i + 1
        if (kind === 'set') pages.set(page, Buffer.alloc(512, value))
        if (kind === 'delete') pages.delete(page)
        given.delete(page)
        if (kind === 'set') given.set(page, value)
        if (kind !== 'keep') continue
        const block = Buffer.alloc(512 * count, value)
        for (let j = 0; j < count; j++, kept++) {
          pages.keep(page + j, block.subarray(512 * j, 512 * (j + 1)))
          given.set(page + j, value)
        }
      }
      assert.equal(pages.size, given.size)
      assert.ok(pages.load >= kept && pages.load >= pages.size && pages.load <= kept + 40)
      const file = Buffer.alloc(512 * 60)
      await writePages(
        { pending: pages, numbers: [...pages.numbers()] },
        512,
        async (bytes, at) => {
          bytes.copy(file, at)
        },
      )
      for (let page = 1; page <= 60; page++)
        assert.equal(file[512 * page - 1], given.get(page) ?? 0, `page ${page}`)
    }),
    { numRuns: 300 },
  )
})

test('pages that lie behind each other are written at once, up to a MiB', async () => {
  const pages = new PendingPages(512)
  const block = Buffer.alloc(512 * 3000, 1)
  for (let i = 0; i < 3000; i++) pages.keep(i + 1, block.subarray(512 * i, 512 * (i + 1)))
  const written: number[] = []
  await writePages({ pending: pages, numbers: [...pages.numbers()] }, 512, async (bytes, at) => {
    assert.equal(bytes.buffer, block.buffer)
    written.push(at, bytes.length)
  })
  const MIB = 1024 * 1024
  assert.deepEqual(written, [0, MIB, MIB, 512 * 3000 - MIB])
})
