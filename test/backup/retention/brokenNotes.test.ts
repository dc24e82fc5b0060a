/** Notes of broken files: what they say lasts, and nothing that is done to them makes files go. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  brokenIds,
  brokenNotes,
  forgetBroken,
  MAX_BROKEN_NOTES,
  noteBroken,
  noteIdOf,
} from '../../../src/backup/retention/brokenNotes.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { put } from '../../support/storeContract.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-broken-'))
after(() => rmSync(root, { recursive: true, force: true }))

const FILE = `changes/0/${'7'.padStart(15, '0')}-${'9'.padStart(15, '0')}-${'a'.repeat(16)}.wca`
const FOUND = { file: FILE, code: 'ARCHIVE_BROKEN', foundMs: 1_700_000_000_000, by: 'node-a' }
let made = 0
const newStore = () => new DirectoryStore(join(root, String(++made)), systemFileOps)

/** The only note of a place. */
const pathOf = (store: DirectoryStore) =>
  join(store.name, 'broken', readdirSync(join(store.name, 'broken'))[0])

test('a note says what was found, the first one stays, and it can be forgotten', async () => {
  const store = newStore()
  assert.equal(await noteBroken(store, FOUND), true)
  assert.equal(await noteBroken(store, { ...FOUND, by: 'node-b', foundMs: 1 }), true)
  assert.deepEqual(await brokenNotes(store), [{ id: noteIdOf(FILE), about: FOUND }])
  await forgetBroken(store, [noteIdOf(FILE), noteIdOf('another')])
  assert.deepEqual(await brokenNotes(store), [])
})

test('the note of ARCHIVE.md is the one that is written', async () => {
  const store = newStore()
  await noteBroken(store, FOUND)
  const page = readFileSync(new URL('../../../../proto/ARCHIVE.md', import.meta.url), 'utf8')
  const [, shown = ''] = /```json\n([\s\S]*?)```/.exec(page) ?? []
  assert.ok(page.includes(readdirSync(join(store.name, 'broken'))[0]))
  assert.deepEqual(JSON.parse(shown), JSON.parse(readFileSync(pathOf(store), 'utf8')))
})

test('a damaged note names its file all the same, and tells nothing else', async () => {
  const store = newStore()
  await noteBroken(store, FOUND)
  const sound = readFileSync(pathOf(store), 'utf8')
  const damaged = [
    ...['', 'no JSON', '[]', 'null', ' '.repeat(5000)],
    ...[/ARCHIVE_BROKEN/, /1700000000000/, /node-a/, /0000007/].map((what) =>
      sound.replace(what, (text) => text.replace(/.$/, (last) => (last === '1' ? '2' : '1'))),
    ),
    JSON.stringify({ ...JSON.parse(sound), by: '\u001b[2J' }),
  ]
  for (const text of damaged) {
    writeFileSync(pathOf(store), text)
    assert.deepEqual(await brokenNotes(store), [{ id: noteIdOf(FILE), about: undefined }], text)
  }
})

test('other versions and other names are no notes, and their number is bounded', async () => {
  const store = newStore()
  const id = noteIdOf(FILE)
  for (const name of [`2-${id}.json`, `1-${id}0.json`, `${id}.json`, 'note'])
    await put(store, `broken/${name}`, '{}')
  assert.equal((await brokenIds(store)).size, 0)
  for (let i = 0; i < MAX_BROKEN_NOTES; i++)
    writeFileSync(join(store.name, `broken/1-${String(i).padStart(16, '0')}.json`), '{}')
  assert.equal(await noteBroken(store, FOUND), false)
  assert.equal((await brokenIds(store)).size, MAX_BROKEN_NOTES)
})
