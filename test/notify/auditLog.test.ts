/**
 * The audit log as a file: whole lines only, crashes and full disks between them, rotation, and the
 * HTTP answer.
 */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { type Logger, pino } from 'pino'
import type { AuditDesk, AuditEntry, AuditNote } from '../../src/api/audit.ts'
import { asWalcastError } from '../../src/errors.ts'
import { Metrics } from '../../src/health/metrics.ts'
import { AuditLog, type AuditLogOptions } from '../../src/notify/auditLog.ts'
import {
  createFileOps,
  type FileOp,
  type FileOps,
  systemFileOps,
} from '../../src/platform/fileOps.ts'
import { addAuditRoutes } from '../../src/server/auditRoutes.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function entry(txid: number, more: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: '2026-11-22T18:00:00.000Z',
    node: 'node-a',
    action: 'promote',
    outcome: 'done',
    role: 'leader',
    epoch: 2,
    txid,
    by: 'ann@desk',
    ...more,
  }
}

/** A logger, and the messages that it received. */
function logged() {
  const messages: string[] = []
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void messages.push(JSON.parse(line).msg) },
  )
  return { log, messages }
}

function openIn(
  folder: string,
  {
    ops = systemFileOps,
    log = logged().log,
    ...options
  }: AuditLogOptions & { readonly ops?: FileOps; readonly log?: Logger } = {},
) {
  return new AuditLog(folder, ops, log, options)
}

const linesIn = (folder: string, name = 'audit.jsonl') =>
  readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)
const txids = (entries: readonly AuditEntry[]) => entries.map(({ txid }) => txid)

test('entries are whole lines in order, and survive a restart', async (t) => {
  const folder = folderOf(t)
  const log = openIn(folder)
  assert.deepEqual(log.recent(10), [])
  await Promise.all([1, 2, 3].map((txid) => log.append(entry(txid, { detail: `number ${txid}` }))))
  assert.deepEqual(
    linesIn(folder).map((line) => JSON.parse(line).txid),
    [1, 2, 3],
  )
  assert.deepEqual(openIn(folder).recent(2), [
    entry(2, { detail: 'number 2' }),
    entry(3, { detail: 'number 3' }),
  ])
  assert.deepEqual(log.recent(0), [])
})

test('foreign texts are cut to one line and cannot steer a terminal', async (t) => {
  const folder = folderOf(t)
  const log = openIn(folder)
  const by = 'eve\n{"action":"promote"}\u001b[2J\u202e\u0000'
  await log.append(entry(1, { by, detail: 'x'.repeat(100_000), node: ' \u2028n ' }))
  const [line, ...more] = linesIn(folder)
  assert.deepEqual(more, [])
  assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\u2028]/u)
  const read = JSON.parse(line)
  assert.equal(read.by, 'eve {"action":"promote"} [2J')
  assert.equal(read.node, 'n')
  assert.equal(read.detail.length, 500)
  assert.deepEqual(openIn(folder).recent(1), [read])
})

test('a line torn by a crash is skipped, and does not swallow the next one', async (t) => {
  const folder = folderOf(t)
  await openIn(folder).append(entry(1))
  appendFileSync(join(folder, 'audit.jsonl'), '{"at":"2026-11-')
  const { log, messages } = logged()
  const again = openIn(folder, { log })
  assert.deepEqual(txids(again.recent(10)), [1])
  assert.deepEqual(messages, ['cannot read some lines of the audit log'])
  await again.append(entry(2))
  await again.append(entry(3))
  assert.equal(linesIn(folder).length, 4)
  assert.deepEqual(txids(openIn(folder).recent(10)), [1, 2, 3])
})

test('foreign lines are left out of the answer and stay in the file', async (t) => {
  const folder = folderOf(t)
  const odd = [
    '[]',
    'null',
    '{}',
    '"x"',
    JSON.stringify({ ...entry(1), role: 'king' }),
    '\u0000\u0000',
  ]
  const odder = [
    JSON.stringify({ ...entry(1), epoch: -1 }),
    JSON.stringify({ ...entry(1), at: 'then' }),
  ]
  writeFileSync(join(folder, 'audit.jsonl'), `${[...odd, ...odder].join('\n')}\n`)
  const log = openIn(folder)
  assert.deepEqual(log.recent(10), [])
  await log.append(entry(5))
  assert.equal(linesIn(folder).length, odd.length + odder.length + 1)
})

test('memory and the part read at start are bounded', async (t) => {
  const folder = folderOf(t)
  const line = JSON.stringify(entry(7, { detail: 'd'.repeat(400) }))
  writeFileSync(join(folder, 'audit.jsonl'), `${line}\n`.repeat(5000))
  const { log, messages } = logged()
  const audit = openIn(folder, { log })
  assert.equal(audit.recent(100_000).length, 200)
  assert.deepEqual(messages, [], 'a line cut by the bound does not count as damaged')
  await audit.append(entry(8))
  assert.equal(audit.recent(100_000).length, 200)
  assert.deepEqual(txids(audit.recent(2)), [7, 8])
})

test('a full file is renamed and never rewritten; five files are kept', async (t) => {
  const folder = folderOf(t)
  const { log, messages } = logged()
  const audit = openIn(folder, { maxBytes: 300, log })
  for (let txid = 1; txid <= 14; txid++) await audit.append(entry(txid))
  const names = ['audit.4.jsonl', 'audit.3.jsonl', 'audit.2.jsonl', 'audit.1.jsonl', 'audit.jsonl']
  assert.deepEqual(
    names.map((name) => linesIn(folder, name).map((line) => JSON.parse(line).txid)),
    [
      [5, 6],
      [7, 8],
      [9, 10],
      [11, 12],
      [13, 14],
    ],
  )
  assert.equal(existsSync(join(folder, 'audit.5.jsonl')), false)
  assert.deepEqual(messages, Array(2).fill('deleting the oldest file of the audit log'))
  assert.deepEqual(
    txids(openIn(folder).recent(10)),
    [11, 12, 13, 14],
    'the file before is read, too',
  )
  rmSync(join(folder, 'audit.2.jsonl'))
  await audit.append(entry(15))
  assert.deepEqual(linesIn(folder, 'audit.4.jsonl').length, 2, 'a gap is filled first')
})

test('a failing disk is logged once, and the log goes on when it works again', async (t) => {
  const folder = folderOf(t)
  let isFull = true
  const ops = createFileOps((op: FileOp) => {
    if (isFull && op === 'audit.append')
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  })
  const { log, messages } = logged()
  const metrics = new Metrics(false)
  const audit = openIn(folder, { ops, log, onDropped: metrics.notices().onAuditDropped })
  await audit.append(entry(1))
  await audit.append(entry(2))
  assert.deepEqual(messages, ['cannot write the audit log'])
  assert.deepEqual(txids(audit.recent(5)), [1, 2], 'the node itself still reports them')
  isFull = false
  await audit.append(entry(3))
  assert.deepEqual(messages, ['cannot write the audit log', 'the audit log can be written again'])
  assert.deepEqual(txids(openIn(folder).recent(5)), [3])
  assert.match(await metrics.registry.metrics(), /^walcast_audit_entries_dropped_total 2$/m)
})

test('a hanging disk holds a bounded number of entries', async (t) => {
  const folder = folderOf(t)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const ops: FileOps = {
    ...systemFileOps,
    async writeAside(...args) {
      await held
      return systemFileOps.writeAside(...args)
    },
  }
  const { log, messages } = logged()
  let dropped = 0
  const onDropped = () => void dropped++
  const audit = openIn(folder, { ops, log, onDropped })
  for (let txid = 1; txid <= 400; txid++) void audit.append(entry(txid))
  assert.deepEqual(messages, ['cannot write the audit log'])
  release()
  await audit.settled()
  assert.equal(linesIn(folder).length, 256)
  assert.equal(dropped, 144)
})

test('a missing folder costs the log and no more', async () => {
  const { log, messages } = logged()
  const audit = openIn('/nowhere/at/all', { log })
  await audit.append(entry(1))
  assert.deepEqual(messages, ['cannot write the audit log'])
})

test('GET /_walcast/audit answers with the last entries', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  let source: AuditDesk | undefined
  const asked: number[] = []
  const notes: AuditNote[] = []
  addAuditRoutes(
    app,
    () => source,
    () => ({ text: 'local', asker: 'local', passesOn: false }),
  )
  app.setErrorHandler((error, _request, reply) => {
    const { status, key } = asWalcastError(error)
    return reply.code(status).send({ key })
  })
  const get = async (query: string) => (await app.inject(`/_walcast/audit${query}`)).json()
  assert.deepEqual(await get(''), { key: 'STARTING' })
  source = {
    recent(limit) {
      asked.push(limit)
      return [entry(limit)]
    },
    async note(note) {
      notes.push(note)
    },
  }
  assert.deepEqual(await get(''), { entries: [entry(50)] })
  for (const limit of [1, 200])
    assert.deepEqual(await get(`?limit=${limit}`), { entries: [entry(limit)] })
  for (const query of [
    '?limit=0',
    '?limit=201',
    '?limit=',
    '?limit=-1',
    '?limit=1e2',
    '?limit=1&limit=2',
  ])
    assert.deepEqual(await get(query), { key: 'BAD_REQUEST' }, query)
  assert.deepEqual(asked, [50, 1, 200])
  const post = async (payload: object) =>
    (await app.inject({ method: 'POST', url: '/_walcast/audit', payload })).json()
  const note = { action: 'undo', outcome: 'done', by: 'a@b', detail: '3 rows' } as const
  assert.deepEqual(await post(note), { noted: true })
  assert.deepEqual(notes, [{ ...note, by: 'a@b (local)' }])
  for (const wrong of [{ action: 'promote' }, { outcome: 'maybe' }, { detail: 'a\nb' }])
    assert.deepEqual(await post({ ...note, ...wrong }), { key: 'BAD_REQUEST' })
  assert.equal(notes.length, 1)
  const written: (() => void)[] = []
  source = { recent: () => [], note: () => new Promise((resolve) => written.push(resolve)) }
  const sent = Array.from({ length: 8 + 64 }, () => post(note))
  assert.deepEqual(await post(note), { key: 'AUDIT_BUSY' }, 'no more wait for the disk')
  assert.equal(written.length, 8)
  for (let i = 0; i < sent.length; i++) {
    written[i]()
    assert.deepEqual(await sent[i], { noted: true })
  }
})
