/**
 * `walcast run`: an application that dies, is killed with its node, learns its role, or finds its
 * port taken.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { freePort, freePortRow } from '../../src/cli/freePorts.ts'
import { toldIn } from '../support/applicationSites.ts'
import type { Child } from '../support/child.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { switchover } from '../support/leadership.ts'
import { PROGRAMS } from '../support/paths.ts'
import { until, within } from '../support/until.ts'

const APP = join(PROGRAMS, 'bootingApp.js')

interface RunOptions {
  readonly name?: string
  readonly leader?: string
  readonly app?: object
  /** The command that runs the application. */
  readonly wrap?: (command: readonly string[]) => readonly string[]
}

async function database(lab: Lab): Promise<string> {
  const db = lab.path('app.db')
  await lab.exec(db, 'PRAGMA journal_mode = wal', 'CREATE TABLE t (v)')
  return db
}

async function run(lab: Lab, db: string, flags: readonly string[], options: RunOptions = {}) {
  const { name = 'app', leader, app = {}, wrap = (command) => command } = options
  const [port, proxy] = [await freePort(), await freePort()]
  const places = ['--db', db, '--listen', `127.0.0.1:${port}`, '--proxy', `127.0.0.1:${proxy}`]
  const command = wrap([process.execPath, APP, JSON.stringify({ db, name, bootMs: 0, ...app })])
  const follows = leader ? ['--leader', leader] : []
  const child = lab.cli(['run', ...places, ...follows, ...flags, '--', ...command])
  const url = `http://127.0.0.1:${proxy}`
  return { child, port, url, address: `127.0.0.1:${port}` }
}

async function listening(child: Child, from = 0) {
  const { at, text } = await child.line((line) => line.includes('"listens"'), from)
  const { listens: pid, role, port } = JSON.parse(text)
  return { at, pid: Number(pid), role: String(role), port: Number(port) }
}

function lives(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
}

labTest('requests wait while a dead application restarts', async (lab) => {
  const db = await database(lab)
  const site = await run(lab, db, ['--ports', String(await freePort()), '--restart', 'on-failure'])
  const first = await listening(site.child)
  assert.equal((await toldIn(fetch(`${site.url}/t`, { method: 'POST', body: 'a' }))).pid, first.pid)
  process.kill(first.pid, 'SIGKILL')
  await site.child.errorLine((line) => line.includes('the application has ended'))
  const answers = ['GET', 'POST'].map((method) =>
    fetch(`${site.url}/t`, { method, ...(method === 'POST' ? { body: 'b' } : {}) }),
  )
  const second = await listening(site.child, first.at + 1)
  for (const answer of answers)
    assert.equal((await toldIn(within('an answer', answer))).pid, second.pid)
  assert.equal((await site.child.stop()).code, 0)
})

labTest('SIGKILL of walcast run ends the application and its children', async (lab) => {
  const db = await database(lab)
  const first = await freePortRow(2)
  const flags = ['--ports', `${first},${first + 1}`]
  // A shell waits for the application, as with `npm start`.
  const wrap = (command: readonly string[]) => ['/bin/sh', '-c', '"$@"; true', 'sh', ...command]
  const site = await run(lab, db, flags, { wrap })
  const app = await listening(site.child)
  assert.equal(app.port, first)
  const parent = Number(
    readFileSync(`/proc/${app.pid}/stat`, 'latin1').split(') ')[1].split(' ')[1],
  )
  assert.notEqual(parent, site.child.pid)
  await site.child.stop('SIGKILL')
  await until('application and shell are gone', () => !lives(app.pid) && !lives(parent))
})

labTest('a taken port is skipped, or its holder is named', async (lab) => {
  const db = await database(lab)
  const first = await freePortRow(2)
  const holders = [createServer(), createServer()]
  lab.atEnd(() => {
    for (const holder of holders) holder.close()
  })
  const hold = (at: number) =>
    new Promise<void>((resolve) => holders[at].listen(first + at, '127.0.0.1', resolve))
  await hold(0)
  const site = await run(lab, db, ['--ports', `${first},${first + 1}`])
  assert.equal((await listening(site.child)).port, first + 1)
  assert.equal((await toldIn(fetch(`${site.url}/t`))).port, first + 1)
  await site.child.stop()
  await hold(1)
  const refused = await run(lab, db, ['--ports', `${first},${first + 1}`])
  refused.child.expectEnd()
  assert.equal((await refused.child.ended).code, 1)
  const said = refused.child.err.at(-1) ?? ''
  assert.match(said, /^WALCAST_APP_PORT_TAKEN: /)
  assert.ok(said.includes(`process ${process.pid} (`), said)
})

for (const follows of [true, false])
  labTest(
    `a signalled application that ${follows ? 'follows goes on' : 'does not follow is restarted'}`,
    async (lab) => {
      const db = await database(lab)
      const flags = [
        '--role-change',
        'signal',
        '--role-signal',
        'SIGUSR2',
        '--role-follow',
        follows ? '60s' : '200ms',
      ]
      // Without a handler the signal ends the application, which then restarts too.
      const ignore = (command: readonly string[]) => [
        '/bin/sh',
        '-c',
        'trap "" USR2; exec "$@"',
        'sh',
        ...command,
      ]
      const options = { app: { follows }, ...(follows ? {} : { wrap: ignore }) }
      const ports = async () => ['--upstream-check', '/check', '--ports', String(await freePort())]
      const first = await run(lab, db, [...flags, ...(await ports())], options)
      const before = await listening(first.child)
      const copy = lab.path('copy.db')
      const second = await run(lab, copy, [...flags, ...(await ports())], {
        ...options,
        leader: first.address,
      })
      const other = await listening(second.child)
      const node = lab.nodeOf('node', { db, port: first.port }, first.child)
      const answer = await switchover(node, { to: second.address })
      assert.equal(answer.to.address, second.address)
      const told = await toldIn(fetch(`${second.url}/t`, { method: 'POST', body: 'a' }))
      assert.equal(told.role, 'leader')
      assert.equal(told.pid === other.pid, follows)
      if (follows) assert.ok(lives(before.pid))
      else assert.equal((await listening(first.child, before.at + 1)).role, 'replica')
    },
  )

labTest('a stop does not wait for requests held for the application', async (lab) => {
  const db = await database(lab)
  const ports = ['--ports', String(await freePort())]
  const site = await run(lab, db, ports, { app: { bootMs: 24 * 3_600_000 } })
  await site.child.line((line) => line.includes('"boots"'))
  const node = lab.nodeOf('node', { db, port: site.port }, site.child)
  const answers = ['GET', 'POST'].map((method) =>
    fetch(`${site.url}/t`, { method, ...(method === 'POST' ? { body: 'b' } : {}) }),
  )
  await until('both wait', async () => (await node.metric('walcast_application_held')) === 2)
  const ended = site.child.stop()
  for (const answer of answers) assert.equal((await within('an answer', answer)).status, 503)
  assert.equal((await ended).code, 0)
})

labTest('--ports and --upstream exclude each other', async (lab) => {
  const db = await database(lab)
  const { child } = await run(lab, db, ['--ports', '3000', '--upstream', 'http://127.0.0.1:3000'])
  assert.equal((await child.ended).code, 2)
  assert.match(child.err.join('\n'), /^WALCAST_USAGE: [^\n]*$/)
})
