/** Pages that wait: each has its own bytes, whatever came and went before it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
