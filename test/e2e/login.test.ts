/**
 * The login of the inventory example is kept in settings. Whoever is logged in stays so over a
 * switchover and a failover, on every server, and a token is good wherever it is shown.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/cli/freePorts.ts'
import { keyring } from '../../src/security/keyring.ts'
import { Browser } from '../support/browser.ts'
import type { Child } from '../support/child.ts'
import { requireSoundPage } from '../support/htmlPage.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { PATIENCE_MS, until } from '../support/until.ts'

const SERVER = fileURLToPath(new URL('../../examples/inventory/server.js', import.meta.url))
const SECRET = 'a secret of enough letters'
const PASSWORD = 'correct horse battery'
/** Pages that each browser sees after the leader has changed. */
const ROUNDS_AFTER = 5

interface Server {
  readonly process: Child
  readonly db: string
  readonly listen: string
  readonly url: string
  readonly browser: Browser
}

/** A server of the example with the keys of its cluster. */
async function startServer(lab: Lab, name: string, leader?: Server): Promise<Server> {
  const db = lab.path(`${name}.db`)
  const listen = `127.0.0.1:${await freePort()}`
  const port = await freePort()
  const args = ['--db', db, '--name', name, '--listen', listen, '--port', String(port)]
  const process = lab.spawn(
    name,
    globalThis.process.execPath,
    [SERVER, ...args, ...(leader ? ['--leader', leader.listen] : [])],
    { INVENTORY_PASSWORD: PASSWORD, WALCAST_SECRET: SECRET },
  )
  await process.line((line) => line.includes(' on http:'))
  await until(`${name} is ready`, () => answers(`http://${listen}/readyz`))
  await until(`${name} has the key`, async () => keyring(db).latest() !== undefined)
  const url = `http://127.0.0.1:${port}`
  return { process, db, listen, url, browser: new Browser(url) }
}

async function answers(url: string, token?: string): Promise<boolean> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE_MS) })
  await response.body?.cancel()
  return response.status === 200
}

async function runCommand(lab: Lab, args: readonly string[]): Promise<string> {
  const child = lab.cli(args, { WALCAST_SECRET: SECRET })
  child.expectEnd()
  assert.equal((await child.ended).code, 0, child.tail())
  return child.out.join('\n')
}

async function requireLoggedOut({ browser }: Server): Promise<void> {
  const page = await browser.get('/')
  assert.deepEqual([page.status, page.headers.get('location')], [303, '/login'])
  assert.equal((await browser.get('/api/machines')).status, 401)
  const write = await browser.send('POST', '/api/machines', { name: 'stranger' })
  assert.equal(write.status, 401, write.text)
}

async function logIn({ browser }: Server): Promise<void> {
  const form = await browser.get('/login')
  assert.equal(form.status, 200)
  requireSoundPage(form.text)
  const wrong = await browser.submit('/login', { password: `${PASSWORD}!` })
  assert.deepEqual([wrong.status, /role="alert"/.test(wrong.text)], [403, true])
  const right = await browser.submit('/login', { password: PASSWORD })
  assert.deepEqual([right.status, right.headers.get('location')], [303, '/'], right.text)
  const page = await browser.get('/')
  assert.equal(page.status, 200)
  requireSoundPage(page.text)
  assert.match(page.text, />Log out</)
}

/** Sees and changes the inventory again and again, until told to stop and some rounds more. */
function use({ browser }: Server, name: string, changed: { isOver: boolean }): Promise<number> {
  const round = async (i: number, after: number): Promise<number> => {
    if (after === ROUNDS_AFTER) return i
    const written = await browser.submit('/machines', { name: `${name}-${i}` })
    assert.deepEqual([written.status, written.headers.get('location')], [303, '/'], written.text)
    const page = await browser.get('/')
    assert.deepEqual([page.status, page.text.includes(`${name}-${i}<`)], [200, true])
    return round(i + 1, changed.isOver ? after + 1 : 0)
  }
  return round(0, 0)
}

labTest('users stay logged in over a switchover and a failover', async (lab) => {
  const a = await startServer(lab, 'a')
  const b = await startServer(lab, 'b', a)
  const both = [a, b]
  for (const server of both) await requireLoggedOut(server)
  for (const server of both) await logIn(server)
  const made = await b.browser.send('POST', '/api/tokens', { note: 'a program' })
  assert.equal(made.status, 201, made.text)
  const { id, secret, note, createdAt } = JSON.parse(made.text)
  const listed = await b.browser.get('/api/tokens')
  assert.deepEqual(
    JSON.parse(listed.text),
    [{ id, note, createdAt }],
    'and no secret, nor its hash',
  )
  for (const { url } of both) {
    await until('the token is there', () => answers(`${url}/api/machines`, secret))
    assert.equal(await answers(`${url}/api/machines`, `${secret.slice(0, -1)}_`), false)
    assert.equal(await answers(`${url}/api/machines`, `inv_000000000000_${secret}`), false)
  }
  for (const { db } of both) {
    const infos = JSON.parse(await runCommand(lab, ['settings', 'list', '--json', '--db', db]))
    assert.ok(infos.length >= 4)
    assert.ok(infos.every((info: { encrypted: boolean }) => info.encrypted))
  }

  const changed = { isOver: false }
  const used = both.map((server, i) => use(server, `over-${i}`, changed))
  const switchover = runCommand(lab, ['switchover', '--node', a.listen]).finally(() => {
    changed.isOver = true
  })
  await Promise.all([switchover, ...used])
  assert.equal(await answers(`http://${b.listen}/leader`), true)
  for (const { url } of both) assert.equal(await answers(`${url}/api/machines`, secret), true)

  await b.process.stop('SIGKILL')
  await runCommand(lab, ['promote', '--node', a.listen])
  const page = await a.browser.get('/')
  assert.equal(page.status, 200)
  assert.equal((await a.browser.submit('/machines', { name: 'after' })).status, 303)
  assert.equal(await answers(`${a.url}/api/machines`, secret), true)

  assert.equal((await a.browser.send('DELETE', `/api/tokens/${id}`)).status, 204)
  assert.equal(await answers(`${a.url}/api/machines`, secret), false)
  assert.equal((await a.browser.submit('/logout', {})).headers.get('location'), '/login')
  await requireLoggedOut(a)
  const bytes = readFileSync(a.db).toString('latin1')
  assert.ok(!bytes.includes(PASSWORD) && !bytes.includes(secret))
})
