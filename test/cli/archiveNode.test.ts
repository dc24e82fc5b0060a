/** Which places of an archive are nodes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DirectoryStore } from '../../src/backup/stores/directoryStore.ts'
import { archiveNode } from '../../src/cli/archiveNode.ts'
import { systemFileOps } from '../../src/platform/fileOps.ts'
import { isCode } from '../support/storeContract.ts'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'walcast-archive-node-')))
after(() => rmSync(root, { recursive: true, force: true }))

const find = (place: string) => archiveNode(place, {})

test('a URL is a node, with the number of its place', async () => {
  const at = (address: string, place: number) => ({
    node: { kind: 'address', address, folder: undefined },
    place,
  })
  assert.deepEqual(await find('http://127.0.0.1:8470'), at('http://127.0.0.1:8470', 1))
  assert.deepEqual(await find('HTTPS://[::1]:8470/'), at('https://[::1]:8470', 1))
  assert.deepEqual(await find('http://a:1/?place=2'), at('http://a:1', 2))
  assert.deepEqual(await find('10.0.0.2:8470'), at('10.0.0.2:8470', 1))
  for (const url of ['http://a:1/?place=0', 'http://a:1/?region=b', 'http://u:p@a:1', 'http://'])
    await assert.rejects(find(url), isCode('USAGE'), url)
  for (const place of ['s3://bucket/prefix', 'gs://bucket', './no', '/no/folder', ''])
    assert.equal(await find(place), undefined, place)
})

test('a place that cannot be looked at is no node, and its store says why', async () => {
  const loop = join(root, 'loop')
  symlinkSync(loop, loop)
  assert.equal(await find(loop), undefined)
  assert.equal(await find(`${loop}/app`), undefined)
  await assert.rejects(new DirectoryStore(loop, systemFileOps).list('snapshots'), (error) => {
    assert.ok(isCode('STORE_UNREACHABLE')(error))
    return /ELOOP/.test(String(error))
  })
})

test('a folder with an archive counts before a node, and that before a folder', async (t) => {
  const db = join(root, 'app.db')
  const folder = `${db}-walcast`
  const socket = { kind: 'socket', db, folder }
  assert.equal(await find(db), undefined)
  writeFileSync(db, '')
  assert.deepEqual(await find(db), { node: socket, place: 1 })
  mkdirSync(folder)
  assert.equal(await find(folder), undefined)
  const server = createServer().listen(join(folder, 'control.sock'))
  t.after(() => server.close())
  await once(server, 'listening')
  assert.deepEqual(await find(folder), { node: socket, place: 1 })
  mkdirSync(join(folder, 'changes'))
  assert.equal(await find(folder), undefined)
  mkdirSync(join(root, 'archive'))
  assert.equal(await find(join(root, 'archive')), undefined)
})
