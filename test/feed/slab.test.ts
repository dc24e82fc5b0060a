import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocateKept } from '../../src/feed/slab.ts'

test('buffers have the length asked for and do not share a byte', () => {
  const sizes = [
    1,
    7,
    8,
    4300,
    100_000,
    131_072,
    131_073,
    2_000_000,
    ...Array.from({ length: 600 }, (_, i) => 4000 + i),
  ]
  const kept = sizes.map((bytes, i) => allocateKept(bytes).fill(i % 251))
  for (const [i, buffer] of kept.entries()) {
    assert.equal(buffer.length, sizes[i])
    assert.ok(buffer.every((byte) => byte === i % 251))
  }
})

test('small ones share memory, large ones have their own', () => {
  const [first, second] = [allocateKept(100), allocateKept(100)]
  assert.equal(first.buffer, second.buffer)
  const large = allocateKept(1024 * 1024)
  assert.equal(large.buffer.byteLength, 1024 * 1024)
})
