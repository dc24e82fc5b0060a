/** The keys of a node: none is made behind a link that somebody else put there. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { openNodeKeys } from '../../src/security/nodeKeys.ts'

test('a key is made once, and not behind a link', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-keys-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const made = await openNodeKeys(join(folder, 'a'), systemFileOps)
  assert.deepEqual(await openNodeKeys(join(folder, 'a'), systemFileOps), made)
  const elsewhere = join(folder, 'elsewhere')
  for (const path of [elsewhere, join(folder, 'b')]) mkdirSync(path)
  symlinkSync(elsewhere, join(folder, 'b/keys'))
  await assert.rejects(openNodeKeys(join(folder, 'b'), systemFileOps), { key: 'STRANGE_FILE' })
  assert.deepEqual(readdirSync(elsewhere), [])
})
