/** `/_walcast/diverged`: names, limits, turns, and the end of a bundle. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { pino } from 'pino'
import type { AuditEntry } from '../../src/api/audit.ts'
import { BUNDLE_ROWS_PATH, BUNDLE_SQL_PATH, BUNDLES_PATH } from '../../src/api/bundles.ts'
import { DatabaseBundles } from '../../src/database/bundleShelf.ts'
import type { AuditParts } from '../../src/node/auditedChange.ts'
import { NodeBundles } from '../../src/node/nodeBundles.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { createFileOps, type FileOps, systemFileOps } from '../../src/platform/fileOps.ts'
import { KeptFolder } from '../../src/replica/diverged/keptFolder.ts'
import { addBundleRoutes } from '../../src/server/bundleRoutes.ts'
import { answerErrors } from '../../src/server/refusals.ts'
import { listedBundle, makeDatabase, BUNDLE_NAME as NAME } from '../support/listedBundle.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-bundles-'))
after(() => rmSync(root, { recursive: true, force: true }))
const log = pino({ level: 'silent' })
let count = 0

function shelf(ops: FileOps = systemFileOps, isComparing = false) {
  const live = join(root, `${++count}.db`)
  const state = join(root, `${count}-walcast`)
  const table = 'CREATE TABLE t (id INTEGER PRIMARY KEY, body)'
  makeDatabase(live, table, "INSERT INTO t VALUES (1, 'b')")
  listedBundle(state, live, [table, "INSERT INTO t VALUES (1, '<b>a</b>'), (2, 'c')"])
  const open = () => new KeptFolder(state, ops, log)
  const folder = open()
  if (isComparing) folder.isComparing = () => true
  const bundles = new DatabaseBundles({ path: live, bundles: () => folder })
  return { bundles, open, state, live }
}

/** What a node writes into its audit log, and where. */
function auditParts(bundles: DatabaseBundles) {
  const entries: AuditEntry[] = []
  const view = { role: () => 'replica', position: () => ({ epoch: 4, txid: 5132 }) }
  const parts = {
    audit: { append: async (entry: AuditEntry) => void entries.push(entry) },
    clock: systemClock,
    nodeFile: { record: { node: 'node-a', epoch: 4 } },
    databases: new Map([['main', { bundles, view }]]),
  }
  return { entries, parts: parts as unknown as AuditParts }
}

async function served(
  t: TestContext,
  { bundles }: ReturnType<typeof shelf>,
  rest = (_ms: number, then: () => void) => then(),
) {
  const app = Fastify()
  t.after(() => app.close())
  answerErrors(app, log)
  const { entries, parts } = auditParts(bundles)
  const now = { asker: '10.0.0.1' }
  addBundleRoutes(app, new NodeBundles(parts, parts, rest), ({ query }) => {
    const { who: asker = now.asker } = Object(query)
    return { text: asker, asker, passesOn: false }
  })
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) => {
    const answer = await app.inject({ method, url, ...(payload ? { payload } : {}) })
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers }
  }
  return { ask, entries, now }
}

test('bundles are listed with what they hold, and markup stays text', async (t) => {
  const parts = shelf()
  const { ask } = await served(t, parts)
  const { body } = await ask('GET', BUNDLES_PATH)
  const [bundle] = body.bundles
  assert.equal(body.bundles.length, 1)
  assert.deepEqual(bundle.tables, [{ table: 't', removed: 1, changed: 1 }])
  assert.deepEqual(
    [bundle.name, bundle.node, bundle.leader, bundle.position, bundle.isComplete],
    [NAME, 'node-a', 'node-b', '4-5132', true],
  )
  assert.ok(bundle.bytes > 8192)
  const page = await ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}&table=t`)
  assert.equal(page.headers['cache-control'], 'no-store')
  assert.match(String(page.headers['content-type']), /^application\/json/)
  assert.ok(JSON.stringify(page.body).includes('<b>a</b>'))
})

test('only the name of a bundle that is there becomes part of a path', async (t) => {
  const parts = shelf()
  const { ask } = await served(t, parts)
  writeFileSync(join(parts.state, 'rows.jsonl'), '')
  const names = ['..', '.', '../diverged', `../diverged/${NAME}`, `${NAME}/`, `./${NAME}`, '%2e%2e']
  for (const name of [...names, `${NAME}.partial`, 'nothing']) {
    const query = new URLSearchParams({ name })
    for (const [method, path] of [
      ['GET', `${BUNDLE_ROWS_PATH}?${query}`],
      ['POST', `${BUNDLE_SQL_PATH}?${query}`],
      ['DELETE', `${BUNDLES_PATH}?${query}`],
    ] as const) {
      const { status, body } = await ask(method, path)
      assert.deepEqual([status, body.code], [404, 'WALCAST_BUNDLE_GONE'], `${method} ${name}`)
    }
  }
  for (const name of ['', 'a'.repeat(101), 'a%00b', 'a%0ab'])
    assert.equal((await ask('DELETE', `${BUNDLES_PATH}?name=${name}`)).status, 400, name)
  assert.deepEqual(readdirSync(join(parts.state, 'diverged')), [NAME])
})

test('a damaged list hides no bundle', async (t) => {
  const parts = shelf()
  const { ask } = await served(t, parts)
  const list = join(parts.state, 'diverged', NAME, 'rows.jsonl')
  writeFileSync(list, '{"summary":{"tables":7}}\n{"summary":')
  const { body } = await ask('GET', BUNDLES_PATH)
  assert.deepEqual([body.bundles.length, body.bundles[0].tables], [1, []])
})

test('what is asked for has bounds', async (t) => {
  const { ask } = await served(t, shelf())
  const rows = `${BUNDLE_ROWS_PATH}?name=${NAME}`
  const wrongs = ['&limit=0', '&limit=101', '&limit=x', '&from=-1', '&from=1', '&table=a&table=b']
  for (const more of wrongs) assert.equal((await ask('GET', rows + more)).status, 400, more)
  const many = Array.from({ length: 1001 }, () => 0)
  for (const wrong of [many, [-1], [0.5], ['0'], 'all', [7], { length: 1 }])
    assert.equal((await ask('POST', BUNDLE_SQL_PATH, { name: NAME, rows: wrong })).status, 400)
  const { body } = await ask('POST', BUNDLE_SQL_PATH, { name: NAME, table: 't' })
  assert.deepEqual([body.inserted, body.conflicts], [1, 1])
})

test('one asker cannot shut others out, and is refused past a number', async (t) => {
  const { ask, entries, now } = await served(t, shelf())
  const rows = () => ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}`)
  const greedy = Array.from({ length: 20 }, rows)
  const answers = Promise.all(greedy)
  await Promise.race(greedy)
  now.asker = '10.0.0.2'
  assert.equal((await rows()).status, 200)
  const busy = (await answers).filter(({ status }) => status === 503)
  assert.ok(busy.length >= 10, `${busy.length} were refused`)
  assert.equal(busy[0].body.code, 'WALCAST_BUNDLES_BUSY')
  assert.equal(entries.length, 21 - busy.length, 'who is refused can write nothing')
})

test('while reads follow each other, the WAL can be emptied between them', async (t) => {
  const parts = shelf()
  const writer = new Database(parts.live, { timeout: 0 })
  t.after(() => writer.close())
  writer.pragma('journal_mode = WAL')
  const page = parts.bundles.page.bind(parts.bundles)
  let readers = 0
  parts.bundles.page = (...asked) => {
    readers++
    return page(...asked).finally(() => readers--)
  }
  const emptied: unknown[] = []
  const { ask } = await served(t, parts, (ms, then) => {
    assert.ok(ms > 0)
    assert.equal(readers, 0)
    writer.exec("INSERT INTO t (body) VALUES ('more')")
    emptied.push(writer.pragma('wal_checkpoint(TRUNCATE)'))
    then()
  })
  const asked = ['a', 'b', 'a', 'b'].map((who) =>
    ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}&who=${who}`),
  )
  const answers = await Promise.all(asked)
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body.rows[1].here]),
    answers.map(() => [200, 'differs']),
  )
  const whole = { busy: 0, log: 0, checkpointed: 0 }
  assert.deepEqual(
    emptied,
    answers.map(() => [whole]),
  )
})

test('the audit log tells who read rows, before they have them', async (t) => {
  const { ask, entries } = await served(t, shelf())
  const told = () =>
    entries.splice(0).map(({ action, by, detail, outcome }) => [...[action, outcome, by, detail]])
  await ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}&by=me`)
  const action = 'bundle-read'
  assert.deepEqual(told(), [[action, 'done', 'me (10.0.0.1)', `rows of the bundle ${NAME}`]])
  await ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}&table=a%1b%5b2J`)
  const by = 'an operator (10.0.0.1)'
  assert.deepEqual(told(), [[action, 'done', by, `rows of the bundle ${NAME}, table a [2J`]])
  const { body } = await ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}`)
  await ask('POST', BUNDLE_SQL_PATH, { name: NAME, rows: [body.rows[0].row] })
  assert.deepEqual(told()[1].slice(1), ['done', by, `SQL of the bundle ${NAME}, 1 chosen rows`])
  await ask('POST', BUNDLE_SQL_PATH, { name: 'nothing' })
  assert.deepEqual(told()[0].slice(0, 2), [action, 'refused'])
})

test('a dry run says what would be lost; a removal takes all of it', async (t) => {
  const parts = shelf()
  const { ask, entries } = await served(t, parts)
  const dry = await ask('DELETE', `${BUNDLES_PATH}?name=${NAME}&dryRun=true&by=me`)
  assert.deepEqual([dry.body.isRemoved, dry.body.bundle.tables.length], [false, 1])
  assert.equal(parts.bundles.list().length, 1)
  const done = await ask('DELETE', `${BUNDLES_PATH}?name=${NAME}&by=me`)
  assert.equal(done.body.isRemoved, true)
  const removals = entries.filter(({ action }) => action === 'drop-bundle')
  assert.deepEqual(
    removals.map(({ by, outcome }) => [by, outcome]),
    [['me (10.0.0.1)', 'done']],
  )
  assert.deepEqual(readdirSync(join(parts.state, 'diverged')), [])
  assert.deepEqual(parts.bundles.list(), [])
  assert.equal((await ask('DELETE', `${BUNDLES_PATH}?name=${NAME}`)).status, 404)
})

test('a bundle whose rows are being read or compared stays', async (t) => {
  const comparing = await served(t, shelf(systemFileOps, true))
  const refused = await comparing.ask('DELETE', `${BUNDLES_PATH}?name=${NAME}`)
  assert.deepEqual([refused.status, refused.body.code], [409, 'WALCAST_BUNDLE_BUSY'])
  const parts = shelf()
  const never = new AbortController().signal
  const asked = { table: null, from: 0, limit: 10 }
  const reading = parts.bundles.page(NAME, asked, never)
  await Promise.resolve()
  assert.throws(() => parts.bundles.remove(NAME, false), { key: 'BUNDLE_BUSY' })
  assert.equal((await reading).rows.length, 2)
  assert.equal(parts.bundles.remove(NAME, false).isRemoved, true)
})

test('a crash during a removal leaves the whole bundle, or none after the next start', () => {
  for (const [op, left] of [
    ['kept.unname', 1],
    ['kept.erase', 0],
  ] as const) {
    const parts = shelf(
      createFileOps((step) => {
        if (step === op) throw new Error('crash')
      }),
    )
    assert.throws(() => parts.bundles.remove(NAME, false), { key: 'WRITE_FAILED' })
    const again = parts.open()
    assert.equal(again.kept.length, left, op)
    const folder = join(parts.state, 'diverged')
    assert.equal(readdirSync(folder).length, left, op)
    assert.equal(existsSync(join(folder, NAME, 'rows.jsonl')), left === 1)
  }
})
