/** What lies in the place of a node's file and is none is neither followed nor changed. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { keepOthersOut, requireOwnFolder } from '../../src/node/folderAccess.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { openPlain, setMode } from '../../src/platform/plainFiles.ts'
import { FirstCopy } from '../../src/replica/copy/firstCopy.ts'
import { refillCutWal } from '../../src/sqlite/cutWal.ts'
import { pinFile } from '../../src/sqlite/pinnedFiles.ts'

const CONTENT = 'of another program'
const STRANGE = { key: 'STRANGE_FILE' }

function folderOf(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-plain-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const foreign = join(folder, 'foreign')
  writeFileSync(foreign, CONTENT)
  chmodSync(foreign, 0o640)
  return {
    folder,
    foreign,
    path: (name: string) => join(folder, name),
    link(name: string, target = foreign): string {
      symlinkSync(target, join(folder, name))
      return join(folder, name)
    },
    requireUntouched(link: string) {
      assert.equal(readFileSync(foreign, 'utf8'), CONTENT)
      assert.equal(modeOf(foreign), '640')
      assert.ok(lstatSync(link).isSymbolicLink(), 'the link is there')
    },
  }
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

test('a link, a dangling one, a folder and a device are no plain files', (t) => {
  const { foreign, folder, path, link, requireUntouched } = folderOf(t)
  const { O_RDWR, O_CREAT } = constants
  const to = link('link')
  assert.throws(() => openPlain(to, O_RDWR), {
    ...STRANGE,
    message: `${to} is a symbolic link to ${foreign}, and not a file of this node`,
  })
  assert.throws(() => setMode(to, 0o600), STRANGE)
  assert.throws(() => pinFile(to), STRANGE)
  requireUntouched(to)
  const dangling = link('dangling', path('nowhere'))
  assert.throws(() => openPlain(dangling, O_RDWR | O_CREAT, 0o600), STRANGE)
  assert.equal(lstatSync(path('nowhere'), { throwIfNoEntry: false }), undefined)
  assert.throws(() => openPlain(folder, O_RDWR), /is a folder, and not/)
  assert.throws(() => openPlain('/dev/null', O_RDWR), /is a pipe, a socket or a device/)
  setMode(path('nothing'), 0o600)
  closeSync(openPlain(path('new'), O_RDWR | O_CREAT, 0o600))
  setMode(path('new'), 0o604)
  assert.equal(modeOf(path('new')), '604')
})

test('a first copy is not written through a link; one that was cut is private again', async (t) => {
  const { path, link, requireUntouched } = folderOf(t)
  const to = link('a.db-incoming')
  await assert.rejects(FirstCopy.open(to, 4096, systemFileOps), STRANGE)
  requireUntouched(to)
  const cut = path('b.db-incoming')
  writeFileSync(cut, Buffer.alloc(8192))
  chmodSync(cut, 0o666)
  const copy = await FirstCopy.open(cut, 4096, systemFileOps)
  assert.equal(copy.sums.pages, 2)
  assert.equal(modeOf(cut), '600')
  await copy.abandon()
  const made = await FirstCopy.open(cut, 4096, systemFileOps)
  assert.equal(modeOf(cut), '600')
  await made.abandon()
})

test('a side file of another user, who may have it open, is not taken up', async (t) => {
  const { path } = folderOf(t)
  writeFileSync(path('a.db-incoming'), CONTENT)
  chownSync(path('a.db-incoming'), 65534, 65534)
  await assert.rejects(
    FirstCopy.open(path('a.db-incoming'), 4096, systemFileOps),
    /is a file of user 65534/,
  )
  assert.equal(readFileSync(path('a.db-incoming'), 'utf8'), CONTENT)
})

test('a state file is not written through the link that has its temporary name', async (t) => {
  const { path, link, requireUntouched } = folderOf(t)
  const to = link('node.json.new')
  await assert.rejects(systemFileOps.replace(path('node.json'), '{}'), STRANGE)
  requireUntouched(to)
  assert.equal(lstatSync(path('node.json'), { throwIfNoEntry: false }), undefined)
})

test('a WAL is not mended through a link', (t) => {
  const { path, link, requireUntouched } = folderOf(t)
  writeFileSync(path('a.db'), '')
  writeFileSync(path('a.db-wal'), '')
  const shm = link('a.db-shm')
  assert.throws(() => refillCutWal(path('a.db')), STRANGE)
  requireUntouched(shm)
})

test('a folder of ours is closed to others, and one behind a link is not changed', (t) => {
  const { path, link } = folderOf(t)
  const lines: { readonly msg: string; readonly from?: string; readonly to?: string }[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const folder = path('a.db-walcast')
  mkdirSync(folder)
  chmodSync(folder, 0o2777)
  keepOthersOut(folder, log)
  keepOthersOut(folder, log)
  assert.equal(modeOf(folder), '2700')
  assert.deepEqual(
    lines.map(({ from, to }) => [from, to]),
    [['02777', '02700']],
  )
  const elsewhere = path('elsewhere')
  mkdirSync(elsewhere)
  chmodSync(elsewhere, 0o755)
  keepOthersOut(link('b.db-walcast', elsewhere), log)
  assert.equal(modeOf(elsewhere), '755')
  assert.match(lines[1].msg, /other users may enter the node folder; give it mode 0700/)
})

test('a folder of another user is not that of this node', (t) => {
  const { path } = folderOf(t)
  const folder = path('a.db-walcast')
  mkdirSync(folder, { mode: 0o700 })
  requireOwnFolder(folder)
  chownSync(folder, 65534, 65534)
  assert.throws(() => requireOwnFolder(folder), { key: 'FOLDER_FOREIGN' })
})
