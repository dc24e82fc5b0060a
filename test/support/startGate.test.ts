import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayStart } from './startGate.ts'

const CORES = 2
const calm = { isStrict: false, idleCores: 0 }

test('a file for each core and one more run at once, and more while cores are idle', () => {
  for (const running of [0, 1, 2]) assert.ok(mayStart({ ...calm, running }, CORES))
  assert.ok(!mayStart({ ...calm, running: 3 }, CORES))
  assert.ok(mayStart({ ...calm, running: 3, idleCores: 1 }, CORES))
})

test('beside a strict file only one for each core runs, however idle they are', () => {
  const load = { isStrict: true, idleCores: 2 }
  assert.ok(mayStart({ ...load, running: 1 }, CORES))
  assert.ok(!mayStart({ ...load, running: 2 }, CORES))
})

test('idle cores are no reason for more files than memory allows', () => {
  for (const cores of [1, 2, 4, 64])
    assert.ok(!mayStart({ ...calm, running: Math.max(16, cores), idleCores: cores }, cores))
  assert.ok(!mayStart({ ...calm, running: 8, idleCores: 2 }, CORES))
})
