/** The nodes of this machine, as the kernel lists their sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { localNodes } from '../../src/cli/localNodes.ts'

function newFolder(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'walcast-nodes-')))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function listen(t: TestContext, path: string): Promise<void> {
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
}

test('sockets that listen in a node folder are nodes, and no others are', async (t) => {
  const folder = newFolder(t)
  const names = ['a.db', 'with space.db', 'ü.db', '-walcast.db']
  for (const name of names) {
    mkdirSync(join(folder, `${name}-walcast`))
    await listen(t, join(folder, `${name}-walcast`, 'control.sock'))
  }
  await listen(t, join(folder, 'control.sock'))
  await listen(t, join(folder, 'a.db-walcast', 'other.sock'))
  const found = localNodes().own.filter((db) => db.startsWith(folder))
  assert.deepEqual(found, names.map((name) => join(folder, name)).sort())
})

test('a list of anything else names no node', (t) => {
  const folder = newFolder(t)
  const list = join(folder, 'unix')
  const line = (flags: string, type: string, path: string) =>
    `0000000000000000: 00000002 00000000 ${flags} ${type} 01 4711 ${path}`
  writeFileSync(
    list,
    [
      'Num       RefCount Protocol Flags    Type St Inode Path',
      line('00010000', '0001', `${folder}/gone.db-walcast/control.sock`),
      line('00000000', '0001', `${folder}/unheard.db-walcast/control.sock`),
      line('00010000', '0002', `${folder}/datagrams.db-walcast/control.sock`),
      line('00010000', '0001', `@${folder}/abstract.db-walcast/control.sock`),
      line('00010000', '0001', '/proc/self/fd/3/control.sock'),
      line('00010000', '0001', 'relative.db-walcast/control.sock'),
      'garbage',
      '',
    ].join('\n'),
  )
  assert.deepEqual(localNodes(list), { own: [], others: [] })
  assert.deepEqual(localNodes(join(folder, 'missing')), { own: [], others: [] })
})
