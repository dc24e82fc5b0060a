import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { NotAvailable } from '../../bench/install.ts'
import { findLitefs } from '../../bench/systems/litefs.ts'

test('LiteFS is skipped, naming the first requirement that is missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-litefs-'))
  const path = process.env['PATH']
  process.env['PATH'] = folder
  const device = join(folder, 'fuse')
  const missing = (reason: RegExp) =>
    assert.throws(
      () => findLitefs(device),
      (error: unknown) => error instanceof NotAvailable && reason.test(error.message),
    )
  const add = (name: string) => {
    writeFileSync(join(folder, name), '')
    chmodSync(join(folder, name), 0o755)
  }
  try {
    missing(/^litefs is not on the PATH$/)
    add('litefs')
    missing(/^fusermount is not on the PATH: install the package fuse3$/)
    add('fusermount3')
    missing(/^.*fuse cannot be opened: ENOENT$/)
    add('fuse')
    assert.equal(findLitefs(device), join(folder, 'litefs'))
  } finally {
    process.env['PATH'] = path
    rmSync(folder, { recursive: true })
  }
})
