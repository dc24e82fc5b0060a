/** What a node answers of the past of its database, also to those who mean it ill. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { PastContents, PastPlan, PastRows, RestoreReport } from '../../src/api/past.ts'
import { archived } from '../support/archiving.ts'
import { type Lab, labTest } from '../support/lab.ts'
import type { Answer, TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const SECRET = { WALCAST_SECRET: 'a secret of sixteen characters and more' }
const ENDLESS =
  'WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT sum(n) FROM s'

function startOn(lab: Lab, ...flags: readonly string[]): Promise<TestNode> {
  const all = [
    '--backup',
    lab.path('archive'),
    '--backup-every',
    '100ms',
    '--drill',
    'off',
    ...flags,
  ]
  return lab
    .leader(lab.path('app.db'), { environment: SECRET, flags: [...all, '--name', 'node-a'] })
    .then((node) => node.ready())
}

/** Asks with a token, as a program does. */
function asking(node: TestNode, token: string) {
  return async (method: string, path: string, body?: object, signal?: AbortSignal) => {
    const answer = await fetch(`${node.url}/_walcast/past${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const isJson = answer.headers.get('content-type')?.startsWith('application/json')
    const json = isJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined
    return { status: answer.status, headers: answer.headers, bytes, json }
  }
}

type Ask = ReturnType<typeof asking>

async function tokenOf(node: TestNode, role: string): Promise<string> {
  const { text }: Answer = await node.post('/_walcast/tokens', { role })
  return JSON.parse(text).token
}

async function query(ask: Ask, sql: string, more: object = {}) {
  return ask('POST', '/query', { at: 'newest', sql, ...more })
}

/** Processes that a node has started. */
function childrenOf({ pid }: TestNode): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
}

function ended(ask: Ask): Promise<RestoreReport> {
  return until('the restore has ended', async (saw) => {
    const { json } = await ask('GET', '/restore')
    saw(JSON.stringify(json))
    const { restore }: { readonly restore: RestoreReport | null } = json
    return restore && restore.state !== 'running' ? restore : undefined
  })
}

labTest('queries on the past are bounded, read only, and for those who may', async (lab) => {
  await makeDatabase(lab, lab.path('app.db'))
  const node = await startOn(lab)
  const { txid } = await archived(node)
  const { epoch } = await node.status()
  const [operate, read] = [await tokenOf(node, 'operate'), await tokenOf(node, 'read')]
  const ask = asking(node, operate)
  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/plan?at=newest'],
    ['POST', '/query'],
    ['GET', '/restore'],
    ['POST', '/restore'],
    ['DELETE', '/restore?id=a'],
    ['GET', '/file?id=a'],
  ] as const) {
    const weak = await asking(node, read)(method, path, method === 'POST' ? {} : undefined)
    assert.deepEqual([weak.status, weak.json.code], [403, 'WALCAST_TOKEN_TOO_WEAK'], path)
    const none = await node.get(`/_walcast/past${path}`, {})
    assert.equal(none.status, method === 'GET' ? 401 : none.status, path)
  }

  const answer = await query(
    ask,
    "SELECT count(*) AS n, NULL, x'00ff', 'a' || char(10), 9007199254740993, 1e3 FROM accounts",
  )
  assert.equal(answer.status, 200)
  const { rows, position, columns }: PastRows = answer.json
  assert.equal(position, `${epoch}-${txid}`)
  assert.equal(columns[0], 'n')
  assert.deepEqual(rows, [
    [100, null, { blob: '00ff' }, 'a\n', { integer: '9007199254740993' }, { real: '1000.0' }],
  ])
  assert.equal(answer.headers.get('cache-control'), 'no-store')

  for (const [sql, reason] of [
    ['DELETE FROM accounts', /not authorized/],
    ["ATTACH ':memory:' AS p", /not authorized/],
    ['SELECT length(zeroblob(100000000))', /too big/],
  ] as const) {
    const { status, json } = await query(ask, sql)
    assert.deepEqual([status, json.code], [400, 'WALCAST_QUERY_FAILED'], sql)
    assert.match(json.message, reason, sql)
  }
  for (const sql of ['', 5, 'x'.repeat(16_385), 'SELECT 1\0; DELETE', undefined])
    assert.equal((await ask('POST', '/query', { at: 'newest', sql })).status, 400)
  for (const at of ['', 'yesterday at noon', '-1', '../x', 'x'.repeat(2000), {}])
    assert.ok([400, 404].includes((await query(ask, 'SELECT 1', { at })).status), String(at))
  for (const place of [0, 2, 1e9, 'x'])
    assert.ok([400, 404].includes((await query(ask, 'SELECT 1', { place })).status))

  // Much of anything is cut, or refused.
  const numbers = 'WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT'
  const many: PastRows = (await query(ask, `${numbers} n FROM s`, { rows: 3 })).json
  assert.deepEqual([many.rows, many.cut], [[[1], [2], [3]], 'rows'])
  const wide: PastRows = (await query(ask, `${numbers} hex(zeroblob(400000)) FROM s`)).json
  assert.deepEqual([wide.rows.length, wide.cut], [5, 'bytes'])

  const late = await query(ask, ENDLESS, { timeoutMs: 500 })
  assert.deepEqual([late.status, late.json.code], [400, 'WALCAST_QUERY_FAILED'])
  assert.match(late.json.message, /longer than 0.5 s/)
  assert.equal(childrenOf(node), '')

  // One at a time for each asker; the node goes on meanwhile, and ends what nobody waits for.
  const gone = new AbortController()
  const endless = ask(
    'POST',
    '/query',
    { at: 'newest', sql: ENDLESS, timeoutMs: 60_000 },
    gone.signal,
  )
  await until('it runs', () => childrenOf(node) !== '')
  const second = await query(ask, 'SELECT 1')
  assert.deepEqual([second.status, second.json.code], [429, 'WALCAST_PAST_BUSY'])
  assert.equal((await node.get('/livez')).status, 200)
  gone.abort()
  await assert.rejects(endless)
  await until('its process is gone', () => childrenOf(node) === '')
  await until('another is answered', async () => (await query(ask, 'SELECT 1')).status === 200)

  const { entries } = JSON.parse((await node.get('/_walcast/audit')).text)
  const told = entries.filter((each: { action: string }) => each.action === 'archive-read')
  assert.match(told[0].detail, /^a query at newest, place 1 of --backup$/)
  assert.match(told[0].by, /^an operator \(token /)
  assert.ok(told.some((each: { outcome: string }) => each.outcome === 'refused'))
  assert.ok((await node.metric('walcast_archive_requests_refused_total')) >= 1)
})

labTest('restored files go to one folder, and a download is sent once and removed', async (lab) => {
  const db = lab.path('app.db')
  await makeDatabase(lab, db)
  let node = await startOn(lab)
  const { checksum, incarnation, txid } = await archived(node)
  const { epoch } = await node.status()
  const at = `${epoch}-${txid}`
  const folder = `${db}-walcast/restored`
  let ask = asking(node, await tokenOf(node, 'operate'))

  const contents: PastContents = (await ask('GET', '')).json
  assert.equal(contents.snapshots[0].incarnation, incarnation)
  assert.ok(contents.snapshots[0].bytes > 0)
  const planned: PastPlan = (await ask('GET', `/plan?at=${at}&file=a.db`)).json
  assert.equal(planned.target.path, join(folder, 'a.db'))
  assert.deepEqual([planned.position, planned.target.replaces], [at, false])
  assert.ok(planned.files[0].name.startsWith('snapshots/'))
  assert.ok(planned.databaseBytes > 0 && planned.bytes > 0)

  mkdirSync(folder, { recursive: true })
  writeFileSync(lab.path('victim'), 'untouched')
  symlinkSync(lab.path('victim'), join(folder, 'link.db'))
  symlinkSync(lab.folder, join(folder, 'out'))
  const before = readdirSync(lab.folder).toSorted()
  for (const file of [
    ...['../x.db', '/etc/x.db', `${lab.folder}/x.db`, 'out/x.db', '.', '..', '.hidden', 'a/../b'],
    ...['x-wal', 'x.db-shm', 'x.db-JOURNAL', 'x.db-restoring', 'x.lock', 'x-walcast', 'ä.db'],
    ...['a'.repeat(101), 'a b', 'a\\b', 'a%2f..%2fb', 'a\nb'],
  ]) {
    const { status } = await ask('POST', '/restore', { at, file, force: true })
    assert.ok([400, 409].includes(status), `${file}: ${status}`)
  }
  for (const file of ['link.db', 'out']) {
    assert.equal((await ask('POST', '/restore', { at, file, force: true })).status, 202)
    const { state, error } = await ended(ask)
    assert.deepEqual([state, error?.code], ['failed', 'WALCAST_RESTORE_REFUSED'], file)
  }
  assert.equal(readFileSync(lab.path('victim'), 'utf8'), 'untouched')
  assert.deepEqual(readdirSync(lab.folder).toSorted(), before)

  assert.equal((await ask('POST', '/restore', { at, incarnation, file: 'a.db' })).status, 202)
  const done = await ended(ask)
  assert.deepEqual([done.state, done.result?.checksum], ['done', checksum])
  assert.equal(done.file, join(folder, 'a.db'))
  assert.deepEqual(readdirSync(folder).toSorted(), ['a.db', 'link.db', 'out'])
  await ask('POST', '/restore', { at, file: 'a.db' })
  assert.equal((await ended(ask)).error?.code, 'WALCAST_RESTORE_REFUSED')
  await ask('POST', '/restore', { at, file: 'a.db', force: true })
  assert.equal((await ended(ask)).state, 'done')

  // One that is ended leaves nothing, whatever its process does just then.
  const long = await ask('POST', '/restore', { at, file: 'b.db' })
  const child = await until('its process is there', () => childrenOf(node))
  process.kill(Number(child), 'SIGSTOP')
  const cancelled = await ask('DELETE', `/restore?id=${long.json.restore.id}`)
  assert.equal(cancelled.json.restore.state, 'cancelled')
  assert.equal(childrenOf(node), '')
  assert.deepEqual(readdirSync(folder).toSorted(), ['a.db', 'link.db', 'out'])

  const begun = await ask('POST', '/restore', { at })
  const { id }: RestoreReport = begun.json.restore
  const ready = await ended(ask)
  assert.deepEqual([ready.state, ready.kind, ready.file], ['ready', 'download', `app-${at}.db`])
  const second = await ask('POST', '/restore', { at })
  const both = await ended(ask)
  assert.deepEqual([both.state, both.others?.map((other) => other.id)], ['ready', [id]])
  const busy = await ask('POST', '/restore', { at })
  assert.deepEqual([busy.status, busy.json.code], [429, 'WALCAST_PAST_BUSY'])
  await ask('DELETE', `/restore?id=${second.json.restore.id}`)
  assert.equal((await ask('HEAD', `/file?id=${id}`)).status, 404)
  for (const other of ['a', `${id}0`, '../../a'])
    assert.equal((await ask('GET', `/file?id=${encodeURIComponent(other)}`)).status, 404)
  // A reader that leaves early may come again.
  const early = new AbortController()
  const answer = await fetch(`${node.url}/_walcast/past/file?id=${id}`, {
    headers: { authorization: `Bearer ${await tokenOf(node, 'operate')}` },
    signal: early.signal,
  })
  assert.equal(answer.headers.get('content-disposition'), `attachment; filename="app-${at}.db"`)
  early.abort()
  const whole = await until('it is there again', async () => {
    const got = await ask('GET', `/file?id=${id}`)
    return got.status === 200 || got.status === 404 ? got : undefined
  })
  // All of it may have been on its way before the reader left.
  if (whole.status === 200) assert.equal(whole.bytes.length, ready.result?.databaseBytes)
  await until('it is removed', async () => (await ended(ask)).others?.length === 0)
  assert.equal((await ask('GET', `/file?id=${id}`)).status, 404)
  assert.deepEqual(readdirSync(folder).toSorted(), ['a.db', 'link.db', 'out'])

  // A crash leaves a file, which the next start removes; and a disk without room is left alone.
  await ask('POST', '/restore', { at })
  assert.equal((await ended(ask)).state, 'ready')
  const work = join(folder, '.restoring-node-a')
  assert.ok(existsSync(work))
  lab.mayEnd(node)
  node.kill('SIGKILL')
  await node.child.ended
  node = await startOn(lab, '--drill-reserve', '900000GiB')
  assert.equal(existsSync(work), false)
  ask = asking(node, await tokenOf(node, 'operate'))
  assert.equal((await ask('GET', '/restore')).json.restore, null)
  await archived(node)
  assert.equal((await ask('POST', '/restore', { at })).status, 202)
  const full = await ended(ask)
  assert.deepEqual([full.state, full.error?.code], ['failed', 'WALCAST_RESTORE_NO_ROOM'])
  assert.equal(existsSync(work), false)
})
