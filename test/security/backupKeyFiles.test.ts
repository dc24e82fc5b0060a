/** Files of recipients and identities: who may read and write them, what is wrong with a line. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { MAX_RECIPIENTS } from '../../proto/archiveSeal.ts'
import { keyOf, messageOf, WalcastError } from '../../src/errors.ts'
import { createFileOps, type FileOp, systemFileOps } from '../../src/platform/fileOps.ts'
import {
  identityText,
  readIdentities,
  readRecipients,
  writeIdentity,
} from '../../src/security/backupKeyFiles.ts'
import { formatIdentity, formatRecipient, newIdentity } from '../../src/security/backupKeys.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-backup-keys-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let made = 0
const newPath = () => join(folder, String(++made))

function fileOf(text: string, mode = 0o600): string {
  const path = newPath()
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const ONE = newIdentity()
const TWO = newIdentity()
const word = formatRecipient(ONE.recipient)

test('recipients are read, each once, in their order', () => {
  const text = `# of the office\n\n${word}\r\n  ${formatRecipient(TWO.recipient)}  \n${word}\n`
  for (const mode of [0o600, 0o644])
    assert.deepEqual(readRecipients(fileOf(text, mode)), [ONE.recipient, TWO.recipient])
})

/** Refused with this text, which quotes nothing of the file. */
function refused(read: (path: string) => unknown, path: string, key: string, said: RegExp): void {
  assert.throws(
    () => read(path),
    (error) => {
      assert.ok(error instanceof WalcastError)
      assert.equal(error.key, key)
      assert.match(messageOf(error), said)
      assert.doesNotMatch(error.line, /walcast-(recipient|identity)-[0-9a-z]{10}/)
      return true
    },
    String(said),
  )
}

test('what is wrong with a file of recipients is told, with the line', () => {
  const bad = (path: string, said: RegExp) =>
    refused(readRecipients, path, 'RECIPIENTS_UNREADABLE', said)
  const typo = word.replace(/.$/, (last) => (last === '2' ? '3' : '2'))
  bad(fileOf(`# a\n${word}\n${typo}\n`), /line 3: a character of it is wrong/)
  bad(fileOf(`${word} ${word}\n`), /line 1: it is too long/)
  bad(fileOf(`\n${formatIdentity(ONE)}\n`), /line 2: it is an identity, which is secret/)
  bad(fileOf('age1xyz\n'), /line 1: it does not begin with walcast-recipient-/)
  bad(fileOf('# nobody\n'), /it has no recipient/)
  bad(fileOf(`#${'x'.repeat(70_000)}\n${word}`), /bytes are too many/)
  const many = Array.from({ length: MAX_RECIPIENTS + 1 }, () => newIdentity().recipient)
  bad(fileOf(many.map(formatRecipient).join('\n')), /more than 32/)
  assert.equal(readRecipients(fileOf(many.slice(1).map(formatRecipient).join('\n'))).length, 32)
  bad(join(folder, 'missing'), /ENOENT/)
})

test('a file of recipients that others may write, or that is no file, is refused', () => {
  const bad = (path: string, said: RegExp) =>
    refused(readRecipients, path, 'RECIPIENTS_UNREADABLE', said)
  for (const mode of [0o620, 0o602, 0o666])
    bad(fileOf(word, mode), /others may write it: its mode is 06/)
  const [pipe, inner] = [newPath(), newPath()]
  execFileSync('mkfifo', [pipe])
  mkdirSync(inner)
  for (const path of [pipe, inner]) bad(path, /it is no file/)
})

test('identities are read from a file that only its owner reads', () => {
  const text = `${identityText(ONE)}\n# another\n${formatIdentity(TWO)}\n`
  const ids = readIdentities(fileOf(text)).map(({ recipient }) => recipient.id)
  assert.deepEqual(ids, [ONE.recipient.id, TWO.recipient.id])
  // Root may share a file with its group.
  refused(readIdentities, fileOf(text, 0o604), 'SECRET_SHARED', /mode is 0604/)
  refused(readIdentities, fileOf(text, 0o660), 'SECRET_SHARED', /mode is 0660/)
  const bad = (path: string, said: RegExp) =>
    refused(readIdentities, path, 'IDENTITY_UNREADABLE', said)
  bad(
    fileOf(`${formatIdentity(ONE).slice(0, -8)}\n`),
    /line 1: (it is too short|a character of it is wrong)/,
  )
  bad(fileOf(`#\n${word}\n`), /line 2: it is a recipient, which opens nothing/)
  bad(fileOf(''), /it has no identity/)
  bad(join(folder, 'missing'), /ENOENT/)
  bad(folder, /EISDIR/)
})

test('a new identity is written for its owner alone, and never over a file', async () => {
  const path = newPath()
  writeFileSync(`${path}.new`, 'left by a crash')
  await writeIdentity(path, ONE, systemFileOps)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readIdentities(path)[0].recipient, ONE.recipient)
  assert.ok(readFileSync(path, 'utf8').includes(`\n# ${word}\n`))
  await assert.rejects(
    writeIdentity(path, TWO, systemFileOps),
    (error) => keyOf(error) === 'WRITE_FAILED',
  )
  assert.deepEqual(readIdentities(path)[0].recipient, ONE.recipient)
  assert.equal(existsSync(`${path}.new`), false)
})

test('a failure at any step leaves no identity', async () => {
  for (const step of ['identity.write', 'identity.sync', 'copy.publish'] satisfies FileOp[]) {
    const inner = newPath()
    mkdirSync(inner)
    const ops = createFileOps((op) => {
      if (op === step) throw new WalcastError('DISK_FULL', { path: 'a' })
    })
    await assert.rejects(
      writeIdentity(join(inner, 'a'), ONE, ops),
      (error) => keyOf(error) === 'DISK_FULL',
      step,
    )
    assert.deepEqual(readdirSync(inner), [], step)
  }
})
