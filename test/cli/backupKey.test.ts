/** `walcast backup-key`: what it writes, what it prints, and that it overwrites nothing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readIdentities } from '../../src/security/backupKeyFiles.ts'
import { parseRecipient } from '../../src/security/backupKeys.ts'
import { CLI } from '../support/paths.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-backup-key-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function run(...args: readonly string[]) {
  const given = [CLI, 'backup-key', ...args]
  return spawnSync(process.execPath, given, { cwd: folder, encoding: 'utf8' })
}

test('a key pair is made once: the identity in a file, the recipient on standard output', () => {
  const path = join(folder, 'walcast-backup.identity')
  const { status, stdout, stderr } = run()
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^walcast-recipient-[0-9a-z]{60}\n$/)
  assert.match(stderr, /^wrote the identity to walcast-backup\.identity; keep it/)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readIdentities(path)[0].recipient, parseRecipient(stdout.trim()))
  // What "walcast backups" shows of an archive tells which file opens it.
  const { id } = parseRecipient(stdout.trim())
  assert.match(stderr, new RegExp(`; its id is ${id}\n$`))
  assert.match(readFileSync(path, 'utf8'), new RegExp(`^# .*they say ${id}\\.$`, 'm'))
  assert.doesNotMatch(stdout + stderr, /walcast-identity-/)

  const before = readFileSync(path, 'utf8')
  const again = run('--to', 'walcast-backup.identity')
  assert.equal(again.status, 2)
  assert.match(again.stderr, /^\S*WALCAST_USAGE: .* is there, and no identity is overwritten/m)
  assert.equal(readFileSync(path, 'utf8'), before)

  const lost = run('--to', 'missing/a')
  assert.equal(lost.status, 1)
  assert.match(lost.stderr, /WALCAST_WRITE_FAILED/)
})
