/** `/_walcast/diverged`: names, limits, turns, and the end of a bundle. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { BUNDLE_ROWS_PATH, BUNDLE_SQL_PATH, BUNDLES_PATH } from '../../src/api/bundles.ts'
import { DatabaseBundles } from '../../src/database/bundleShelf.ts'
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

async function served(t: TestContext, { bundles }: ReturnType<typeof shelf>) {
  const app = Fastify()
  t.after(() => app.close())
  answerErrors(app, log)
  const removed: string[] = []
  const desk = {
    list: () => ({ node: 'node-a', bundles: bundles.list() }),
    page: bundles.page.bind(bundles),
    sql: bundles.sql.bind(bundles),
    async remove(name: string, isDryRun: boolean, by: string) {
      const answer = bundles.remove(name, isDryRun)
      if (answer.isRemoved) removed.push(by)
      return answer
    },
  }
  addBundleRoutes(app, desk, () => ({ text: '10.0.0.1', asker: '10.0.0.1', passesOn: false }))
  const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) => {
    const answer = await app.inject({ method, url, ...(payload ? { payload } : {}) })
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers }
  }
  return { ask, removed }
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

test('requests past a number are refused', async (t) => {
  const { ask } = await served(t, shelf())
  const asked = Array.from({ length: 20 }, () => ask('GET', `${BUNDLE_ROWS_PATH}?name=${NAME}`))
  const answers = await Promise.all(asked)
  const busy = answers.filter(({ status }) => status === 503)
  assert.equal(busy.length, 2)
  assert.equal(busy[0].body.code, 'WALCAST_BUNDLES_BUSY')
})

test('a dry run says what would be lost; a removal takes all of it', async (t) => {
  const parts = shelf()
  const { ask, removed } = await served(t, parts)
  const dry = await ask('DELETE', `${BUNDLES_PATH}?name=${NAME}&dryRun=true&by=me`)
  assert.deepEqual([dry.body.isRemoved, dry.body.bundle.tables.length], [false, 1])
  assert.equal(parts.bundles.list().length, 1)
  const done = await ask('DELETE', `${BUNDLES_PATH}?name=${NAME}&by=me`)
  assert.equal(done.body.isRemoved, true)
  assert.deepEqual(removed, ['me (10.0.0.1)'])
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
