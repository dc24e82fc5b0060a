/** What is kept aside, when the folder of it is not as it should be. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import type { Logger } from 'pino'
import { systemClock } from '../src/clock.ts'
import { type FileOps, systemFileOps } from '../src/fileOps.ts'
import { Divergence } from '../src/replica/divergence.ts'
import type { KeptDivergence } from '../src/replica/keptFolder.ts'
import { until } from './support/until.ts'

const ABOUT: KeptDivergence = {
  format: 1,
  kind: 'diverged',
  at: '2026-11-22T12:00:00.000Z',
  node: 'node-a',
  epoch: 1,
  txid: 7,
  checksum: '00000000000000aa',
  pageSize: 4096,
  pages: 2,
  leader: 'node-b',
  reason: 'a test',
  state: 'kept',
}

function makeTable(path: string, rows: readonly string[]): void {
  const db = new Database(path)
  db.pragma('journal_mode = wal')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)')
  for (const row of rows) db.prepare('INSERT INTO t (body) VALUES (?)').run(row)
  db.close()
}

function setUp(t: TestContext, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-kept-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'copy.db')
  makeTable(path, ['one'])
  const kept = join(folder, 'state', 'diverged')
  for (const name of names) {
    mkdirSync(join(kept, name), { recursive: true })
    makeTable(join(kept, name, 'database.db'), ['one', `only in ${name}`])
    writeFileSync(join(kept, name, 'about.json'), JSON.stringify(ABOUT))
  }
  const lines: string[] = []
  const say = (fields: { readonly kept?: string }, text: string) =>
    void lines.push(`${fields.kept?.replace(/^.*\//, '') ?? ''} ${text}`)
  const log = { info: say, warn: say, error: say } as unknown as Logger
  const divergence = (ops: FileOps) =>
    new Divergence({
      path,
      stateFolder: join(folder, 'state'),
      node: 'node-a',
      maxDiverged: 8,
      maxDivergedBytes: 1e9,
      onDropped() {},
      ops,
      clock: systemClock,
      log,
    })
  return { kept, lines, divergence }
}

test('one whose state cannot be written is not compared again and again, and holds up no other', async (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  const ops: FileOps = {
    ...systemFileOps,
    replace: (path, content) =>
      path.includes('/a/') ? Promise.reject(new Error('no')) : systemFileOps.replace(path, content),
  }
  const kepts = divergence(ops)
  kepts.onLevel('00000000000000bb')
  await until('the other is compared', () =>
    lines.some((line) => line.startsWith('b rows that the leader lacks')),
  )
  kepts.onLevel('00000000000000bb')
  assert.deepEqual(
    lines.filter((line) => line.startsWith('a ')),
    ['a the rows of what was kept aside could not be compared'],
  )
  assert.ok(existsSync(join(kept, 'b', 'rows.jsonl')))
  kepts.stop()
})

test('one that somebody takes away is forgotten; a stop ends a comparison', async (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  const kepts = divergence(systemFileOps)
  rmSync(join(kept, 'a'), { recursive: true })
  kepts.onLevel('00000000000000bb')
  assert.deepEqual(
    kepts.kept.map(({ name }) => name),
    ['b'],
  )
  kepts.stop()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(lines, [])
})

test('a damaged description is told of and stops nothing', (t) => {
  const { kept, lines, divergence } = setUp(t, ['a', 'b'])
  writeFileSync(join(kept, 'a', 'about.json'), '{ cut')
  mkdirSync(join(kept, 'c.partial'))
  assert.deepEqual(
    divergence(systemFileOps).kept.map(({ name }) => name),
    ['b'],
  )
  assert.equal(lines.length, 1)
  assert.ok(!existsSync(join(kept, 'c.partial')), 'what a crash left unfinished is gone')
})
