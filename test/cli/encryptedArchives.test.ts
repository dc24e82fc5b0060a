/** Commands that read an archive, over one that is encrypted: with an identity and without. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { identityText } from '../../src/security/backupKeyFiles.ts'
import { type BackupIdentity, newIdentity } from '../../src/security/backupKeys.ts'
import { type FolderFile, flipBit, writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { type Lab, labTest } from '../support/lab.ts'

const PAGE_SIZE = 4096

async function walcast(
  lab: Lab,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const child = lab.cli(args, { TZ: 'Europe/Vienna', ...environment })
  child.expectEnd()
  const { code } = await child.ended
  return { code, out: child.out.join('\n'), err: child.err.join('\n') }
}

/** Txids 100 to 105. `own`: opens the files of all but the places in `plain`. */
async function siteIn(lab: Lab, own: BackupIdentity, plain: readonly number[] = []) {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 6)
  const archive = lab.path('archive')
  const files: FolderFile[] = [
    { kind: 'snapshot', incarnation: ONE, states: [0] },
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3] },
    { kind: 'changes', incarnation: ONE, from: 3, states: [4, 5] },
  ]
  const sealed = files.map((file, i) =>
    plain.includes(i) ? file : { ...file, recipients: [own.recipient] },
  )
  const names = await writeArchive(archive, states, PAGE_SIZE, sealed)
  return { archive, states, names, identity: identityFile(lab, 'own.identity', own) }
}

function identityFile(lab: Lab, name: string, identity: BackupIdentity): string {
  writeFileSync(lab.path(name), identityText(identity), { mode: 0o600 })
  return lab.path(name)
}

labTest('every command opens an encrypted archive with --identity', async (lab) => {
  const { archive, states, identity } = await siteIn(lab, newIdentity())
  const to = lab.path('app.db')
  const from = ['--from', archive]
  const key = ['--identity', identity]
  const pair = ['--from', '102', '--to', '103']
  for (const [args, code, out] of [
    [['restore', ...from, '--to', to, ...key], 0, /^restored \S+app\.db: 1-105 of /],
    [['backups', ...from, ...key, '--verify'], 0, /every position\n[\s\S]*in 3 files is right$/],
    [['at', '103', 'SELECT count(*) FROM a', ...from, ...key], 0, /\b61\b/],
    [['history', ...from, ...key], 0, / 1-105 /],
    [['diff', '--archive', archive, ...pair, ...key], 1, /^index by_b: the schema differs/],
    [['undo', '102', ...from, ...key, '--conflicts', 'undo'], 0, /^-- Puts back /],
  ] as const) {
    const done = await walcast(lab, args)
    assert.equal(done.code, code, `${args[0]}: ${done.err}`)
    assert.match(done.out, out, args[0])
  }
  assert.ok(readFileSync(to).equals(states[5].bytes))
})

labTest('without an identity each says in one line which one it wants', async (lab) => {
  const own = newIdentity()
  const { archive, identity } = await siteIn(lab, own)
  const from = ['--from', archive]
  const locked = new RegExp(
    `^WALCAST_ARCHIVE_LOCKED: .* for ${own.recipient.id}, and no identity was given; .*--identity`,
  )
  for (const [args, code] of [
    [['restore', ...from, '--to', lab.path('app.db')], 1],
    [['at', 'newest', 'SELECT 1', ...from], 1],
    [['diff', '--archive', archive, '--from', '102'], 3],
  ] as const) {
    const refused = await walcast(lab, args)
    assert.equal(refused.code, code, args[0])
    assert.match(refused.err, locked)
    assert.equal(refused.err.split('\n').length, 1)
  }
  const other = newIdentity()
  const wrong = ['--identity', identityFile(lab, 'other.identity', other)]
  const refused = await walcast(lab, ['history', ...from, ...wrong])
  assert.match(
    refused.err,
    new RegExp(`LOCKED: .*the identity that was given is ${other.recipient.id}`),
  )
  const missing = await walcast(lab, ['history', ...from, '--identity', lab.path('none')])
  assert.match(missing.err, /^WALCAST_IDENTITY_UNREADABLE: /)
  const found = await walcast(lab, ['history', ...from], { WALCAST_IDENTITY: identity })
  assert.equal(found.code, 0, found.err)
})

labTest('the list tells what names and headers tell, and checks what is stored', async (lab) => {
  const own = newIdentity()
  const { archive, names } = await siteIn(lab, own)
  const shown = await walcast(lab, ['backups', '--from', archive, '--verify'])
  assert.equal(shown.code, 0, shown.err)
  assert.match(shown.out, /^cluster cluster-a, database main: 3 files, /)
  assert.match(shown.out, /^positions 1-100 to 1-105, as the names of files tell$/m)
  assert.match(
    shown.out,
    new RegExp(`^ENCRYPTED for ${own.recipient.id}: .* 1970-01-01 01:00`, 'm'),
  )
  assert.match(shown.out, /^every checksum in 3 files is right; 3 of them checked, not opened$/m)
  assert.doesNotMatch(shown.out, /MISSING|NOT SOUND|no snapshots/)
  flipBit(archive, names[1], 0.5)
  const damaged = await walcast(lab, ['backups', '--from', archive, '--verify', '--json'])
  assert.equal(damaged.code, 1)
  const { bad, locked, unopened } = JSON.parse(damaged.out)
  assert.deepEqual([bad.length, bad[0].code, unopened], [1, 'WALCAST_ARCHIVE_BROKEN', 2])
  assert.deepEqual(locked.recipients, [own.recipient.id])
})

labTest('locked changes do not hide what is not encrypted, nor count as missing', async (lab) => {
  const { archive, states } = await siteIn(lab, newIdentity(), [0, 1])
  const to = lab.path('app.db')
  const args = ['restore', '--from', archive, '--to', to]
  const newest = await walcast(lab, args)
  assert.equal(newest.code, 1)
  assert.match(newest.err, /ARCHIVE_GAP: .*before is 1-103 .*is encrypted for /)
  const older = await walcast(lab, [...args, '--txid', '103'])
  assert.equal(older.code, 0, older.err)
  assert.ok(readFileSync(to).equals(states[3].bytes))
  const { out } = await walcast(lab, ['backups', '--from', archive])
  assert.match(out, / 1-100 +1-103 +every position\n[\s\S]*ENCRYPTED for /)
})
