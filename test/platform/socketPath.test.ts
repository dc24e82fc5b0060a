/** Paths of sockets of any length: bound and reached, and nothing left open. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SocketPath } from '../../src/platform/socketPath.ts'

const openFiles = () => readdirSync('/proc/self/fd').length

test('a socket whose path has 20 to 300 bytes is bound, reached and removed', async (t) => {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'w-')))
  t.after(() => rmSync(top, { recursive: true, force: true }))
  for (const bytes of [top.length + 8, 105, 106, 107, 108, 109, 200, 300]) {
    // With letters of two bytes.
    const left = bytes - Buffer.byteLength(`${top}//s.sock`) + 1
    const name = left > 4 ? `é${'x'.repeat(left - 3)}` : ''
    const folder = name === '' ? top : join(top, name.slice(0, 120), name.slice(120))
    mkdirSync(folder, { recursive: true })
    const before = openFiles()
    const [bound, reached] = [new SocketPath(folder, 's.sock'), new SocketPath(folder, 's.sock')]
    const server = createServer((socket) => socket.end('hello'))
    server.listen(bound.path)
    await once(server, 'listening')
    assert.ok(lstatSync(join(folder, 's.sock')).isSocket())
    const client = connect(reached.path)
    const [text] = await once(client, 'data')
    assert.equal(String(text), 'hello')
    client.destroy()
    server.close()
    await once(server, 'close')
    assert.equal(lstatSync(join(folder, 's.sock'), { throwIfNoEntry: false }), undefined)
    for (const path of [bound, reached]) path.close()
    reached.close()
    assert.equal(openFiles(), before, `${bytes} bytes`)
  }
})

test('a folder that is not there is an error, and leaves nothing open', () => {
  const before = openFiles()
  const folder = `/${'x'.repeat(200)}`
  assert.throws(() => new SocketPath(folder, 's.sock'), { code: 'ENOENT' })
  assert.equal(openFiles(), before)
})
