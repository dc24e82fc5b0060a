/** The file of the trust record: who may read it, and what a crash or a bad disk leaves. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pino from 'pino'
import { withCluster, withMember, withoutMember } from '../../src/cluster/trustChanges.ts'
import { type TrustChange, TrustFile } from '../../src/cluster/trustFile.ts'
import { formatTrust } from '../../src/cluster/trustFormat.ts'
import { emptyTrust, isRemovedKey, memberByKey } from '../../src/cluster/trustRecord.ts'
import { keyOf } from '../../src/errors.ts'
import { createFileOps, type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { until } from '../support/until.ts'

const LOG = pino({ level: 'silent' })
const KEY = 'ab'.repeat(32)
const MEMBER = { fingerprint: KEY, node: 'node-1', address: '10.0.0.1:8470' }
const CLUSTER = 'cluster-1'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-trust-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function openIn(folder: string, ops: FileOps = systemFileOps): TrustFile {
  return TrustFile.open(folder, ops, LOG)
}

async function begun(folder: string, ops?: FileOps): Promise<TrustFile> {
  const file = openIn(folder, ops)
  await file.belongTo(CLUSTER)
  return file
}

const modeOf = (path: string) => statSync(path).mode & 0o777

test('a node without a file starts with an empty record, and makes a private one', async (t) => {
  const folder = folderOf(t)
  assert.equal(TrustFile.peek(folder), undefined)
  const file = openIn(folder)
  assert.deepEqual(file.record, emptyTrust(''))
  assert.ok(!existsSync(`${folder}/keys`) && !file.isThere)
  await file.belongTo('')
  assert.ok(file.isThere)
  await file.belongTo(CLUSTER)
  await file.change((record) => withMember(record, MEMBER, 1000))
  assert.equal(modeOf(`${folder}/keys`), 0o700)
  assert.equal(modeOf(file.path), 0o600)
  assert.deepEqual(openIn(folder).record, file.record)
  assert.equal(memberByKey(file.record, KEY)?.node, 'node-1')
  await assert.rejects(file.belongTo('cluster-2'), (error) => keyOf(error) === 'TRUST_REFUSED')
})

test('each change is told once, with what it was before and who told it', async (t) => {
  const file = await begun(folderOf(t))
  const changes: TrustChange[] = []
  file.on('changed', (change) => changes.push(change))
  await file.change((record) => withMember(record, MEMBER, 1000))
  await file.change((record) => withMember(record, MEMBER, 2000))
  const other = withoutMember(emptyTrust(CLUSTER), KEY, 'node-1', 3000)
  await file.learn(other, 'node-2')
  await file.learn(other, 'node-3')
  assert.deepEqual(
    changes.map(({ from, before, now }) => [from, before.members.length, now.members.length]),
    [
      ['', 0, 1],
      ['node-2', 1, 0],
    ],
  )
})

test('changes that are asked for at once are made one after the other', async (t) => {
  const folder = folderOf(t)
  const file = await begun(folder)
  const keys = Array.from({ length: 20 }, (_, index) => index.toString(16).padStart(64, '0'))
  await Promise.all(
    keys.map((fingerprint, index) =>
      index % 2 === 0
        ? file.change((record) => withMember(record, { ...MEMBER, fingerprint }, 1000))
        : file.learn(withMember(emptyTrust(CLUSTER), { ...MEMBER, fingerprint }, 1000), 'node-2'),
    ),
  )
  assert.equal(file.record.members.length, keys.length)
  assert.deepEqual(openIn(folder).record, file.record)
})

test('a file that others can read is refused, and so is a link in its place', async (t) => {
  const folder = folderOf(t)
  const file = await begun(folder)
  for (const mode of [0o640, 0o604, 0o620, 0o666]) {
    if (process.geteuid?.() === 0 && mode === 0o640) continue
    chmodSync(file.path, mode)
    assert.throws(
      () => openIn(folder),
      (error) => keyOf(error) === 'SECRET_SHARED',
    )
  }
  chmodSync(file.path, 0o600)
  const text = readFileSync(file.path)
  rmSync(file.path)
  writeFileSync(`${folder}/elsewhere`, text, { mode: 0o600 })
  symlinkSync(`${folder}/elsewhere`, file.path)
  assert.throws(
    () => openIn(folder),
    (error) => keyOf(error) === 'STRANGE_FILE',
  )
  rmSync(`${folder}/keys`, { recursive: true })
  mkdirSync(`${folder}/other`, { mode: 0o700 })
  symlinkSync(`${folder}/other`, `${folder}/keys`)
  assert.throws(
    () => openIn(folder),
    (error) => keyOf(error) === 'STRANGE_FILE',
  )
  await assert.rejects(
    file.change((record) => withMember(record, MEMBER, 1000)),
    (error) => keyOf(error) === 'STRANGE_FILE',
  )
})

test('a folder that others could enter is closed, and so is a file left by a crash', async (t) => {
  const folder = folderOf(t)
  mkdirSync(`${folder}/keys`)
  chmodSync(`${folder}/keys`, 0o755)
  writeFileSync(`${folder}/keys/cluster.json.new`, 'half of', { mode: 0o644 })
  const file = await begun(folder)
  assert.equal(modeOf(`${folder}/keys`), 0o700)
  assert.equal(modeOf(file.path), 0o600)
})

test('a file that cannot be read ends the start, and stays as it is', async (t) => {
  const folder = folderOf(t)
  const { path } = await begun(folder)
  const whole = readFileSync(path, 'utf8')
  const other = whole.replace('"format":1', '"format":2')
  for (const text of ['', '{', 'null', '[]', whole.slice(0, -3), other, `${whole}x`]) {
    writeFileSync(path, text)
    assert.throws(
      () => openIn(folder),
      (error) => keyOf(error) === 'TRUST_BROKEN',
      text,
    )
    assert.equal(readFileSync(path, 'utf8'), text)
  }
  truncateSync(path, 10 * 1024 * 1024)
  assert.throws(
    () => openIn(folder),
    (error) => keyOf(error) === 'TRUST_BROKEN',
  )
})

test('a crash at each step of a write leaves the old record or the new one', async (t) => {
  for (const step of ['trust.write', 'trust.rename', 'trust.folder']) {
    const folder = folderOf(t)
    const old = (await begun(folder)).record
    const next = withMember(old, MEMBER, 1000)
    // What happens after a crash does not happen: the process never goes on.
    const ops = createFileOps((op) => {
      if (op === step) throw new Error('the process died')
    })
    const file = openIn(folder, ops)
    await assert.rejects(file.change((record) => withMember(record, MEMBER, 1000)))
    assert.deepEqual(file.record, old, 'a change that may be lost is not acted on')
    const found = formatTrust(openIn(folder).record)
    assert.equal(found, formatTrust(step === 'trust.folder' ? next : old), step)
  }
})

test('a removal holds at once on a disk that takes no writes, and is written later', async (t) => {
  const folder = folderOf(t)
  const disk = { isFull: false }
  const ops = createFileOps((op) => {
    if (disk.isFull && op === 'trust.write') throw Object.assign(new Error(), { code: 'ENOSPC' })
  })
  const file = await begun(folder, ops)
  await file.change((record) => withMember(record, MEMBER, 1000))
  disk.isFull = true
  await assert.rejects(
    file.insist((record) => withoutMember(record, KEY, '', 2000)),
    (error) => keyOf(error) === 'DISK_FULL',
  )
  assert.ok(isRemovedKey(file.record, KEY))
  // What others tell holds as well.
  const other = { ...MEMBER, fingerprint: 'cd'.repeat(32), node: 'node-2' }
  await file.learn(withMember(emptyTrust(CLUSTER), other, 1000), 'node-2')
  assert.equal(file.record.members.length, 1)
  assert.equal(openIn(folder).record.removedMembers.length, 0)
  disk.isFull = false
  await until('the removal is in the file', () => isRemovedKey(openIn(folder).record, KEY))
  assert.deepEqual(openIn(folder).record, file.record)
  await file.stop()
})

test('a stop makes a last attempt at a write that had failed', async (t) => {
  const folder = folderOf(t)
  const disk = { isBad: false }
  const file = await begun(folder, {
    ...systemFileOps,
    async replace(path, content, kind) {
      if (disk.isBad) throw new Error('the disk is bad')
      await systemFileOps.replace(path, content, kind)
    },
  })
  disk.isBad = true
  await assert.rejects(file.insist((record) => withoutMember(record, KEY, 'node-1', 2000)))
  disk.isBad = false
  await file.stop()
  assert.ok(isRemovedKey(openIn(folder).record, KEY))
})

test('a record of another cluster changes nothing', async (t) => {
  const file = await begun(folderOf(t))
  await assert.rejects(
    file.learn(withMember(emptyTrust('cluster-2'), MEMBER, 1000), 'node-2'),
    (error) => keyOf(error) === 'TRUST_REFUSED',
  )
  assert.deepEqual(file.record, withCluster(emptyTrust(''), CLUSTER))
  const unknown = openIn(folderOf(t))
  await assert.rejects(
    unknown.learn(withMember(emptyTrust(CLUSTER), MEMBER, 1000), 'node-2'),
    (error) => keyOf(error) === 'TRUST_REFUSED',
  )
})
