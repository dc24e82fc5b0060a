/** What a folder says of the departure of its node. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readLeft } from '../../src/node/departure.ts'

test('a file that is there and cannot be read does not count as none', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-'))
  t.after(() => rmSync(folder, { recursive: true }))
  assert.equal(readLeft(folder), undefined)
  assert.equal(readLeft(join(folder, 'absent')), undefined)
  mkdirSync(join(folder, 'left.json'))
  assert.throws(() => readLeft(folder), { key: 'WRITE_FAILED' })
})
