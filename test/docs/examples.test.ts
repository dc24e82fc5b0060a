/** The examples, each started by its one command and used as a visitor would use it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startServer } from '../../examples/inventory/inventoryServer.ts'
import { freePort, freePortRow } from '../../src/cli/freePorts.ts'
import { Browser } from '../support/browser.ts'
import type { Child } from '../support/child.ts'
import { requireSoundPage } from '../support/htmlPage.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const NAMES = ['leader', 'replica-1', 'replica-2']
/** Of each replica. */
const ROUNDS = 100
const BUILD_MS = 600_000
/** How long SQLite waits for a lock in the example. */
const BUSY_MS = 5000

interface Started {
  readonly run: Child
  readonly folder: string
  readonly port: number
  /** One for each node, in the order of NAMES. */
  readonly browsers: readonly Browser[]
}

/** Starts `examples/NAME/run` and waits for its last line. */
async function startExample(lab: Lab, name: string, ports: number): Promise<Started> {
  const port = await freePortRow(ports)
  const folder = lab.path('data')
  const file = fileURLToPath(new URL(`../../../examples/${name}/run`, import.meta.url))
  const run = lab.spawn(name, file, ['--port', String(port), '--folder', folder])
  // Its children have process groups of their own, and must not outlive a failed test.
  lab.atEnd(() => endProcesses(folder))
  await run.line((line) => line.includes('Ctrl-C'), 0, BUILD_MS)
  const browsers = NAMES.map((_, index) => new Browser(`http://127.0.0.1:${port + index}`))
  for (const [index, node] of NAMES.entries())
    assert.ok(run.out.some((line) => line.includes(node) && line.includes(`:${port + index}/`)))
  return { run, folder, port, browsers }
}

/** Processes that name the folder of this test in their command line. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder)
      } catch {
        // Ended just now.
        return false
      }
    })
    .map(Number)
}

function endProcesses(folder: string): void {
  for (const pid of processesOf(folder)) process.kill(pid, 'SIGKILL')
}

async function requireCleanEnd({ run, folder }: Started, count: number): Promise<void> {
  // The command itself and those that it started.
  assert.equal(processesOf(folder).length, 1 + count)
  assert.deepEqual(await run.stop('SIGTERM'), { code: 0, signal: null })
  assert.deepEqual(processesOf(folder), [])
}

/**
 * A form sent to each replica in turn, and the page that comes next from the same replica: some two
 * hundred times.
 */
async function requireOwnWrites(
  browsers: readonly Browser[],
  path: string,
  fields: (text: string) => Record<string, string>,
): Promise<void> {
  await Promise.all(
    browsers.map(async (browser, index) => {
      for (let round = 0; round < ROUNDS; round++) {
        const text = `written-${index}-${round}`
        const answer = await browser.submit(path, fields(text))
        assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/'], answer.text)
        const page = await browser.get('/')
        assert.equal(page.status, 200)
        assert.ok(
          page.text.includes(`${text}<`),
          `${text} is missing in what ${NAMES[index + 1]} shows`,
        )
        assert.ok(page.text.includes(NAMES[index + 1]), 'the replica made the page itself')
      }
    }),
  )
}

labTest('inventory: pages, own writes read at replicas, leader jobs, a clean end', async (lab) => {
  const started = await startExample(lab, 'inventory', 6)
  const { browsers, folder } = started
  for (const [index, browser] of browsers.entries()) {
    const page = await browser.get('/')
    assert.equal(page.status, 200)
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    requireSoundPage(page.text)
    assert.match(page.text, new RegExp(`<dd>${NAMES[index]}</dd>`))
    assert.match(page.text, index === 0 ? /badge leader/ : /badge replica/)
  }
  await requireOwnWrites(browsers.slice(1), '/machines', (name) => ({ name, notes: '<&"\'>' }))
  await requireApi(browsers[1])
  await requireSoundForms(browsers[2])
  const { journal } = await recordsOf(browsers[0])
  assert.deepEqual(
    journal.map(({ node, what }) => [node, what]),
    [['leader', 'migrated from version 0 to 1']],
  )
  for (const browser of browsers.slice(1))
    assert.deepEqual((await recordsOf(browser)).journal, journal)
  const names = await lab.sql(join(folder, 'leader/inventory.db'), { readOnly: true })
  const [[count]] = (await names.rows(
    "SELECT count(*) FROM machine WHERE name LIKE 'written-%'",
  )) as [[number]]
  await names.close()
  assert.equal(count, 2 * ROUNDS)
  await requireCleanEnd(started, NAMES.length)
})

interface Records {
  readonly machines: readonly { readonly id: number; readonly name: string }[]
  readonly journal: readonly { readonly node: string; readonly what: string }[]
}

async function recordsOf(browser: Browser): Promise<Records> {
  const [machines, journal] = await Promise.all(
    ['/api/machines', '/api/journal'].map(async (path) =>
      JSON.parse((await browser.get(path)).text),
    ),
  )
  return { machines, journal }
}

/** Create, read, change, delete and what is refused, all through one replica. */
async function requireApi(browser: Browser): Promise<void> {
  const make = async (path: string, value: object) => {
    const answer = await browser.send('POST', path, value)
    assert.equal(answer.status, 201, answer.text)
    const place = answer.headers.get('location') ?? ''
    assert.deepEqual(JSON.parse((await browser.get(place)).text), JSON.parse(answer.text))
    return { place, id: JSON.parse(answer.text).id }
  }
  const machine = await make('/api/machines', { name: 'web-1' })
  const network = await make('/api/networks', { name: 'office', cidr: '10.0.0.0/24' })
  const endpoint = { machineId: machine.id, networkId: network.id, address: '10.0.0.5' }
  const { place } = await make('/api/endpoints', endpoint)
  const status = async (method: string, path: string, value?: object) =>
    (await browser.send(method, path, value)).status
  assert.equal(await status('PATCH', machine.place, { notes: 'rack 4' }), 200)
  assert.match((await browser.get(machine.place)).text, /"name":"web-1","notes":"rack 4"/)
  assert.equal(await status('POST', '/api/endpoints', endpoint), 409)
  assert.equal(await status('POST', '/api/endpoints', { ...endpoint, address: 'x' }), 400)
  assert.equal(
    await status('POST', '/api/endpoints', { ...endpoint, address: '10.0.0.6', machineId: 99_999 }),
    409,
  )
  assert.equal(await status('POST', '/api/machines', {}), 400)
  assert.equal(await status('PATCH', machine.place, {}), 400)
  assert.equal(await status('POST', `${place}/seen`), 200)
  assert.equal(await status('DELETE', machine.place), 204)
  for (const path of [machine.place, place]) assert.equal(await status('GET', path), 404, path)
  assert.equal(await status('DELETE', machine.place), 404)
  assert.equal(await status('GET', '/api/machines/x'), 400)
}

/** A form that is refused shows the page again, with the reason. */
async function requireSoundForms(browser: Browser): Promise<void> {
  const refused = await browser.submit('/machines', { name: 'written-0-0' })
  assert.equal(refused.status, 409)
  assert.match(refused.text, /role="alert">Not saved: there is one of that name/)
  requireSoundPage(refused.text)
  assert.equal((await browser.submit('/machines', { name: ' ' })).status, 400)
}

labTest(
  'inventory: job and migration run on the leader only, and a replica refuses writes',
  async (lab) => {
    const start = async (name: string, leader?: string) => {
      const listen = `127.0.0.1:${await freePort()}`
      const port = await freePort()
      const times = { checkEveryMs: 20, staleAfterMs: 200 }
      const db = lab.path(`${name}.db`)
      const server = await startServer({
        db,
        listen,
        port,
        leader,
        name,
        secret: undefined,
        ...times,
      })
      lab.atEnd(() => server.stop())
      return { ...server, listen, browser: new Browser(server.url) }
    }
    const leader = await start('first')
    const replica = await start('second', leader.listen)
    const { browser } = replica
    await replica.node.ready()
    for (const [path, value] of [
      ['/api/machines', { name: 'web-1' }],
      ['/api/networks', { name: 'office', cidr: '10.0.0.0/24' }],
      ['/api/endpoints', { machineId: 1, networkId: 1, address: '10.0.0.5' }],
    ] as const)
      assert.equal((await browser.send('POST', path, value)).status, 201)
    await until('stale at the replica', async () =>
      (await browser.get('/api/endpoints/1')).text.includes('"stale"'),
    )
    const { journal } = await recordsOf(browser)
    assert.deepEqual(
      journal.map(({ node, what }) => [node, what]),
      [
        ['first', 'marked 1 endpoint stale'],
        ['first', 'migrated from version 0 to 1'],
      ],
    )

    const handle = replica.inventory.database
    const beganMs = performance.now()
    assert.throws(() => handle.exec("INSERT INTO machine (name) VALUES ('stray')"), {
      code: 'SQLITE_READONLY',
    })
    assert.throws(() => replica.inventory.markStale(new Date(), 'second'), /SQLITE_|readonly/)
    assert.ok(performance.now() - beganMs < BUSY_MS, 'at once')

    await leader.stop()
    assert.equal((await browser.get('/')).status, 200, 'a replica goes on alone')
  },
)

labTest(
  'notes-python: pages, own writes read at replicas, one migration, a clean end',
  async (lab) => {
    const started = await startExample(lab, 'notes-python', 9)
    const { browsers, folder } = started
    for (const [index, browser] of browsers.entries()) {
      const page = await browser.get('/')
      assert.equal(page.status, 200)
      requireSoundPage(page.text)
      assert.match(page.text, new RegExp(`app-${NAMES[index]}`))
    }
    await requireOwnWrites(browsers.slice(1), '/notes', (text) => ({ text }))
    await requireDeletion(browsers[1])
    assert.equal((await browsers[1].submit('/notes', { text: ' ' })).status, 400)
    assert.equal((await browsers[2].get('/nothing')).status, 404)
    for (const node of NAMES) {
      const session = lab.sql(join(folder, node, 'notes.db'), { readOnly: true })
      assert.deepEqual(await session.rows('SELECT name FROM made_by'), [['app-leader']])
      assert.deepEqual(await session.rows('SELECT count(*) FROM note'), [[2 * ROUNDS - 1]])
      await session.close()
    }
    await requireStrayWriteFails(started)
    await requireCleanEnd(started, 2 * NAMES.length)
    assert.ok(existsSync(join(folder, 'leader/notes.db')), '--folder keeps the data')
  },
)

async function requireDeletion(browser: Browser): Promise<void> {
  const [{ id }] = JSON.parse((await browser.get('/notes.json')).text)
  const answer = await browser.send('DELETE', `/notes/${id}`)
  assert.equal(answer.status, 204, answer.text)
  const left: { id: number }[] = JSON.parse((await browser.get('/notes.json')).text)
  assert.ok(!left.some((note) => note.id === id))
  assert.equal((await browser.send('DELETE', `/notes/${id}`)).status, 404)
}

/** A client bypasses the proxy and POSTs to the application of a replica. */
async function requireStrayWriteFails({ port, browsers }: Started): Promise<void> {
  const behind = new Browser(`http://127.0.0.1:${port + 7}`)
  const before = (await browsers[1].get('/notes.json')).text
  const answer = await behind.submit('/notes', { text: 'stray' })
  assert.equal(answer.status, 503)
  assert.equal((await browsers[1].get('/notes.json')).text, before)
}
