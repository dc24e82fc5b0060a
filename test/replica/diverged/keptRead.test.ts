/** Rows of a bundle in pages, and the SQL of chosen rows, by the program that a node runs. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import { MAX_CELL_CHARS } from '../../../src/replica/diverged/keptCells.ts'
import { KeptList } from '../../../src/replica/diverged/keptList.ts'
import { readPage, readSql } from '../../../src/replica/diverged/keptRead.ts'
import type { KeptRow } from '../../../src/replica/diverged/keptRow.ts'
import { listedBundle, makeDatabase } from '../../support/listedBundle.ts'
import { isRunning } from '../../support/processesIn.ts'
import { until } from '../../support/until.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-kept-read-'))
after(() => rmSync(root, { recursive: true, force: true }))
const NEVER = new AbortController().signal
const ALL = { table: null, from: 0, limit: 100 }

const SCHEMA = [
  'CREATE TABLE "a ""quoted"" name" (id INTEGER PRIMARY KEY, body, more)',
  'CREATE TABLE pairs (a TEXT, b TEXT, n INT, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE TABLE reals (r REAL PRIMARY KEY, n INT) WITHOUT ROWID',
]
const NAME = 'a "quoted" name'

/** The leader has other rows of `pairs` and one of `NAME` otherwise. */
function makeBoth(name: string) {
  const live = join(root, `${name}.db`)
  makeDatabase(
    live,
    ...SCHEMA,
    `INSERT INTO "a ""quoted"" name" VALUES (1, 'theirs', NULL)`,
    `INSERT INTO pairs VALUES ('x', 'y', 0)`,
  )
  const folder = listedBundle(join(root, `${name}-walcast`), live, [
    ...SCHEMA,
    `INSERT INTO "a ""quoted"" name" VALUES (1, 'mine', NULL), (2, NULL, 'NULL'),
       (3, zeroblob(1000), printf('%.*c', 1000, 'ä')), (4, 9007199254740993, 1.0)`,
    `INSERT INTO pairs VALUES ('a,b', 'c', 1), ('a', 'b,c', 2)`,
    'INSERT INTO reals VALUES (0.1, 1), (1e300, 2)',
  ])
  return { live, folder }
}

function cellsOf(row: KeptRow) {
  return Object.fromEntries(
    row.fields.map(({ name, before, here, there }) => [
      name,
      [before, here, there].map((cell) => (cell ? `${cell.kind} ${cell.text.slice(0, 20)}` : '-')),
    ]),
  )
}

test('rows stand side by side: NULL is no text, and what is cut is told', async () => {
  const { live, folder } = makeBoth('sides')
  const { rows, next, detail } = await readPage({ folder, live }, { ...ALL, table: NAME }, NEVER)
  assert.deepEqual([next, detail], [null, null])
  const byId = new Map(rows.map((row) => [row.fields[0].before.text, row]))
  const [one, two, three, four] = ['1', '2', '3', '4'].map((id) => byId.get(id))
  assert.ok(one && two && three && four)
  assert.deepEqual([one.kind, one.here], ['changed', 'differs'])
  assert.deepEqual(cellsOf(one), {
    id: ['integer 1', 'integer 1', 'integer 1'],
    body: ['text mine', 'text theirs', 'text theirs'],
    more: ['null ', 'null ', 'null '],
  })
  const changed = one.fields.map((field) => [field.isHereChanged, field.isThereChanged])
  assert.deepEqual(changed, [
    [false, false],
    [true, true],
    [false, false],
  ])
  assert.deepEqual([two.kind, two.here], ['removed', 'missing'])
  assert.deepEqual(cellsOf(two)['body'], ['null ', '-', '-'])
  assert.deepEqual(cellsOf(two)['more'], ['text NULL', '-', '-'])
  const [, blob, text] = three.fields
  assert.deepEqual(blob.before, {
    kind: 'blob',
    text: '0'.repeat(MAX_CELL_CHARS),
    size: 1000,
    isCut: true,
  })
  assert.deepEqual([text.before.size, text.before.isCut], [1000, true])
  assert.deepEqual(cellsOf(four)['body'], ['integer 9007199254740993', '-', '-'])
  assert.deepEqual(cellsOf(four)['more'], ['real 1.0', '-', '-'])
})

test('pages follow each other, and a filter leaves other tables out', async () => {
  const { live, folder } = makeBoth('pages')
  const seen: string[] = []
  for (let from: number | null = 0; from !== null; ) {
    const page = await readPage({ folder, live }, { ...ALL, from, limit: 3 }, NEVER)
    assert.ok(page.rows.length <= 3)
    seen.push(...page.rows.map(({ table }) => table))
    from = page.next
  }
  assert.equal(seen.length, 8)
  const pairs = await readPage({ folder, live }, { ...ALL, table: 'pairs' }, NEVER)
  assert.deepEqual(
    pairs.rows.map(({ table }) => table),
    ['pairs', 'pairs'],
  )
  const none = await readPage({ folder, live }, { ...ALL, table: 'no such' }, NEVER)
  assert.deepEqual(none.rows, [])
  for (const from of [1, 5, 1e12])
    await assert.rejects(readPage({ folder, live }, { ...ALL, from }, NEVER), {
      key: 'BAD_REQUEST',
    })
  const list = new KeptList(`${folder}/rows.jsonl`)
  try {
    assert.deepEqual(list.tables(), [
      { table: NAME, removed: 3, changed: 1 },
      { table: 'pairs', removed: 2, changed: 0 },
      { table: 'reals', removed: 2, changed: 0 },
    ])
  } finally {
    list.close()
  }
})

test('the SQL is of the chosen rows alone, and what it brings back is here again', async () => {
  const { live, folder } = makeBoth('sql')
  const bundle = { folder, live }
  const { rows } = await readPage(bundle, ALL, NEVER)
  const chosen = rows.filter(({ table, fields }) => {
    const [first, second] = fields.map(({ before }) => before.text)
    if (table === NAME) return first === '1' || first === '2'
    // The other one is written as "a,b,c" as well.
    return table === 'pairs' ? second === 'c' : first === '0.1'
  })
  assert.equal(chosen.length, 4)
  const asked = { table: null, rows: chosen.map(({ row }) => row), updates: false }
  const { sql, inserted, conflicts } = await readSql(bundle, asked, NEVER)
  assert.deepEqual([inserted, conflicts], [3, 1])
  assert.match(sql, /-- conflict in "a ""quoted"" name"/)
  makeDatabase(live, sql)
  const db = new Database(live, { readonly: true })
  try {
    assert.deepEqual(db.prepare('SELECT a, b, n FROM pairs WHERE n > 0').all(), [
      { a: 'a,b', b: 'c', n: 1 },
    ])
    assert.equal(db.prepare('SELECT count(*) FROM reals').pluck().get(), 1)
    const text = db.prepare('SELECT more FROM "a ""quoted"" name" WHERE id = 2').pluck().get()
    assert.equal(text, 'NULL')
  } finally {
    db.close()
  }
  const { rows: later } = await readPage(bundle, ALL, NEVER)
  const here = new Map(later.map((row) => [row.row, row.here]))
  assert.deepEqual(
    chosen.map(({ row }) => here.get(row)),
    chosen.map(({ kind }) => (kind === 'changed' ? 'differs' : 'same')),
  )
  assert.equal([...here.values()].filter((state) => state === 'missing').length, 4)
  const overwriting = await readSql(bundle, { ...asked, updates: true }, NEVER)
  assert.match(overwriting.sql, /UPDATE "a ""quoted"" name" SET "body" = 'mine'/)
  const whole = await readSql(bundle, { table: 'reals', rows: [], updates: false }, NEVER)
  assert.deepEqual([whole.inserted, /1e\+300|1\.0{10,}e\+300/i.test(whole.sql)], [1, true])
})

test('rows are shown too when the database of the node cannot be read', async () => {
  const { folder } = makeBoth('alone')
  const { rows, detail } = await readPage({ folder, live: join(root, 'none.db') }, ALL, NEVER)
  assert.equal(rows.length, 8)
  assert.ok(rows.every(({ here, fields }) => here === 'unknown' && fields[0].here === null))
  assert.match(detail ?? '', /none\.db/)
})

test('a script past its bound is refused; a row past its own is named and not shown', async () => {
  const live = join(root, 'large.db')
  makeDatabase(live, 'CREATE TABLE t (id INTEGER PRIMARY KEY, body)')
  const folder = listedBundle(join(root, 'large-walcast'), live, [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, body)',
    'INSERT INTO t VALUES (1, randomblob(600000)), (2, 1)',
  ])
  const bundle = { folder, live }
  const { rows } = await readPage(bundle, ALL, NEVER)
  const asked = { table: null, rows: rows.map(({ row }) => row), updates: false }
  await assert.rejects(readSql(bundle, asked, NEVER), { key: 'BUNDLE_SQL_TOO_LARGE' })
  const list = join(folder, 'rows.jsonl')
  const long = 'x'.repeat(2 ** 24)
  appendFileSync(list, `{"table":"t","kind":"removed","key":{"id":3},"x":"${long}"}\n`)
  const pages: number[] = []
  let last: KeptRow | undefined
  for (let from: number | null = 0; from !== null; ) {
    const page = await readPage(bundle, { ...ALL, from }, NEVER)
    pages.push(page.rows.length)
    last = page.rows.at(-1)
    from = page.next
  }
  assert.deepEqual([pages, last?.fields], [[1, 1, 1], []])
  assert.ok(Number(last?.bytes) > 2 ** 24)
})

test('it ends with who asked', async () => {
  const { live, folder } = makeBoth('gone')
  const gone = new AbortController()
  const asked = readPage({ folder, live }, ALL, gone.signal)
  gone.abort()
  await assert.rejects(asked, { key: 'CALLER_GONE' })
})

/** Ids of the processes that `parent` has begun. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?=[A-Z] )/)
        return Number(fields.split(' ')[1]) === parent
      } catch {
        return false
      }
    })
    .map(Number)
}

function opens(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === path)
}

test('the process that reads ends with a node that is killed, though it is at work', async () => {
  const { live, folder } = makeBoth('killed')
  // Its thread reads for minutes, and hears nothing meanwhile.
  truncateSync(join(folder, 'rows.jsonl'), 2 ** 40)
  const module = new URL('../../../src/replica/diverged/keptRead.js', import.meta.url)
  const code = `const { readPage } = await import('${module}')
    await readPage(${JSON.stringify({ folder, live })}, { table: 'none', from: 0, limit: 100 },
      new AbortController().signal)`
  const node = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' })
  try {
    const parent = node.pid ?? 0
    const [reader] = await until('it reads', () => {
      const children = childrenOf(parent)
      return children.length > 0 && opens(children[0], `${folder}/rows.jsonl`) && children
    })
    node.kill('SIGKILL')
    try {
      await until('the reader ended', () => !isRunning(reader), 20_000)
    } finally {
      if (isRunning(reader)) process.kill(reader, 'SIGKILL')
    }
  } finally {
    node.kill('SIGKILL')
  }
})
