/** Rows on the pages that a resync overwrites. SQLite reads both states to judge the result. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { makeKeptDatabase } from '../../../src/replica/diverged/keptDatabase.ts'
import { KeptRecords } from '../../../src/replica/diverged/keptRecords.ts'
import { type BundleOptions, type MadeBundle, makeBundle } from '../../support/keptBundle.ts'
import { propertyRuns } from '../../support/propertyRuns.ts'
import { PAGE_SIZES } from '../../support/sourceDatabase.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-kept-rows-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let count = 0

type Value = null | bigint | number | string | Buffer
type Work = (db: Database.Database) => void

interface Shape {
  readonly pageSize: number
  readonly autoVacuum: number
  readonly encoding: string
}

const PLAIN: Shape = { pageSize: 4096, autoVacuum: 0, encoding: 'UTF-8' }

interface States {
  readonly before: string
  readonly after: string
  readonly bundle: MadeBundle
}

function work(path: string, does: Work): void {
  const db = new Database(path)
  try {
    db.pragma('synchronous = OFF')
    db.pragma('journal_mode = MEMORY')
    does(db)
  } finally {
    db.close()
  }
}

/** A database made by `first`, and its state after `then`. */
async function states(
  shape: Shape,
  first: Work,
  then: Work,
  options?: BundleOptions,
): Promise<States> {
  const before = join(folder, `${++count}.before`)
  const after = join(folder, `${count}.after`)
  work(before, (db) => {
    db.pragma(`page_size = ${shape.pageSize}`)
    db.pragma(`auto_vacuum = ${shape.autoVacuum}`)
    db.pragma(`encoding = '${shape.encoding}'`)
    first(db)
  })
  copyFileSync(before, after)
  work(after, then)
  return {
    before,
    after,
    bundle: await makeBundle(join(folder, `${count}.bundle`), before, after, options),
  }
}

/** Makes `database.db` and returns its rows by table. */
function keptRows({ bundle, before, after }: States, tables: readonly string[]): string[] {
  const path = join(bundle.folder, 'database.db')
  assert.equal(makeKeptDatabase(bundle.folder, bundle.pageSize, path, after), true)
  return tables.flatMap((table) => rowsOf(path, table, before)).sort()
}

/** The rows of the old state that the new one lacks, or that differ there. */
function lostRows({ before, after }: States, tables: readonly string[]): string[] {
  return tables
    .flatMap((table) => {
      const there = new Set(rowsOf(after, table, before))
      return rowsOf(before, table).filter((row) => !there.has(row))
    })
    .sort()
}

/** Every byte and type of each row, in the columns of `columnsOf`; empty without the table. */
function rowsOf(path: string, table: string, columnsOf = path): string[] {
  const columns = columnNames(columnsOf, table)
  const db = new Database(path, { readonly: true })
  try {
    if (columns.length === 0 || !hasTable(db, table)) return []
    const list = columns
      .map((c) => {
        const bytes = `hex(CAST(${c} AS BLOB))`
        return `typeof(${c}) || iif(typeof(${c}) = 'real', printf('%!.26g', ${c}), ${bytes})`
      })
      .join(` || ',' || `)
    return db.prepare<[], string>(`SELECT '${table} ' || ${list} FROM ${table}`).pluck().all()
  } finally {
    db.close()
  }
}

function columnNames(path: string, table: string): string[] {
  const db = new Database(path, { readonly: true })
  try {
    const columns = (
      db.pragma(`table_xinfo(${table})`) as readonly { readonly name: string }[]
    ).map(({ name }) => name)
    return table === 'plain' && columns.length > 0 ? ['rowid', ...columns] : columns
  } finally {
    db.close()
  }
}

const TABLES = ['alias', 'plain', 'keyed', 'longer', 'made', 'named']

const SCHEMA = `
  CREATE TABLE alias (id INTEGER PRIMARY KEY, a, b TEXT, c REAL);
  CREATE INDEX alias_b ON alias (b);
  CREATE TABLE plain (a, b);
  CREATE TABLE keyed (k1 TEXT, v, k2 INT, w, PRIMARY KEY (k2, k1)) WITHOUT ROWID;
  CREATE INDEX keyed_v ON keyed (v);
  CREATE TABLE longer (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
  CREATE TABLE made (a, v AS (a || 'x') VIRTUAL, id INTEGER PRIMARY KEY,
    s AS (typeof(a)) STORED, z);
  CREATE TABLE named (name TEXT PRIMARY KEY,
    a NOT NULL CHECK (typeof(a) <> 'blob' OR a IS NOT NULL));
  CREATE TRIGGER on_alias AFTER INSERT ON alias BEGIN INSERT INTO plain (a) VALUES (new.id); END;
  CREATE VIEW seen AS SELECT a FROM alias;
`

type Step =
  | {
      readonly kind: 'insert'
      readonly table: number
      readonly rows: number
      readonly values: readonly Value[]
    }
  | {
      readonly kind: 'update' | 'delete'
      readonly table: number
      readonly every: number
      readonly values: readonly Value[]
    }
  | { readonly kind: 'column' }
  | { readonly kind: 'vacuum' }
  | { readonly kind: 'drop'; readonly table: number }

const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.nat(60) },
  { weight: 3, arbitrary: fc.nat(1200) },
  { weight: 1, arbitrary: fc.nat(150_000) },
)
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer({ min: -300, max: 300 }).map(BigInt),
  fc.constantFrom(0n, 1n, 127n, -128n, 32767n, 2n ** 23n, 2n ** 31n, -(2n ** 47n)),
  fc.double({ noNaN: true }),
  fc.integer({ min: -5, max: 5 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  bytes.map((length) => 'ä€x𝄞'.repeat(Math.ceil(length / 8))),
  bytes.map((length) => Buffer.alloc(length, length)),
)
const values = fc.array(value, { minLength: 3, maxLength: 5 })
const table = fc.nat(TABLES.length - 1)
const inserts = fc.record({
  kind: fc.constant('insert' as const),
  table,
  rows: fc.integer({ min: 1, max: 80 }),
  values,
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: inserts },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      table,
      every: fc.integer({ min: 1, max: 40 }),
      values,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      table,
      every: fc.constantFrom(1, 1, 3, 20),
      values,
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'column' }, { kind: 'vacuum' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), table }) },
)

let serial = 0

function take(db: Database.Database, step: Step): void {
  if (step.kind === 'vacuum') return void db.exec('VACUUM')
  if (step.kind === 'column') {
    if (hasTable(db, 'longer'))
      db.exec(`ALTER TABLE longer ADD COLUMN c${++serial} DEFAULT 'd${serial}'`)
    return
  }
  const name = TABLES[step.table]
  if (!hasTable(db, name)) return
  // A trigger that inserts into the table goes with it.
  if (step.kind === 'drop')
    return void db.exec(`DROP TRIGGER IF EXISTS on_alias; DROP TABLE ${name}`)
  if (step.kind === 'delete')
    return void db.exec(
      `DELETE FROM ${name}${step.every > 1 ? ` WHERE ${pick(name, step.every)}` : ''}`,
    )
  const [x, y, z] = step.values
  if (step.kind === 'insert') {
    const sql = `INSERT OR IGNORE INTO ${name} ${INSERTS[name]}`
    const statement = db.prepare(sql)
    for (let i = 0; i < step.rows; i++) statement.run({ n: ++serial, x, y, z })
    return
  }
  db.prepare(`UPDATE OR IGNORE ${name} SET ${UPDATES[name]} WHERE ${pick(name, step.every)}`).run({
    x,
    y,
  })
}

const INSERTS: Readonly<Record<string, string>> = {
  alias: '(a, b, c) VALUES (@x, @y, @n)',
  plain: '(a, b) VALUES (@x, @y)',
  keyed: '(k1, v, k2, w) VALUES (coalesce(@z, 0) || @n, @x, @n % 7, @y)',
  longer: '(a) VALUES (@x)',
  made: '(a, z) VALUES (@x, @y)',
  named: '(name, a) VALUES (@n || coalesce(@z, 0), coalesce(@x, @n))',
}
const UPDATES: Readonly<Record<string, string>> = {
  alias: 'a = @x, b = substr(b, 1, 5) || @y',
  plain: 'b = iif(rowid % 2, @x, @y)',
  keyed: 'w = @x',
  longer: 'a = iif(@x IS NULL, a, @y)',
  made: 'z = @y, a = iif(id % 2, a, @x)',
  named: 'a = coalesce(@x, 0)',
}

function pick(name: string, every: number): string {
  return name === 'keyed' ? `k2 % ${every} = 0` : `rowid % ${every} = 0`
}

function hasTable(db: Database.Database, name: string): boolean {
  return (
    db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !==
    undefined
  )
}

const shape: fc.Arbitrary<Shape> = fc.record({
  pageSize: fc.constantFrom(...PAGE_SIZES),
  autoVacuum: fc.constantFrom(0, 1, 2),
  encoding: fc.constantFrom('UTF-8', 'UTF-16le', 'UTF-16be'),
})

test('exactly the rows that the new state lacks, or that differ there, are kept', async () => {
  await fc.assert(
    fc.asyncProperty(
      shape,
      fc.array(inserts, { minLength: 3, maxLength: 12 }),
      fc.array(step, { minLength: 1, maxLength: 5 }),
      fc.array(step, { minLength: 1, maxLength: 4 }),
      async (given, filling, early, late) => {
        const made = await states(
          given,
          (db) => {
            db.exec(SCHEMA)
            for (const each of [...filling, ...early]) take(db, each)
          },
          (db) => {
            for (const each of late) take(db, each)
          },
        )
        assert.equal(made.bundle.isComplete, true)
        assert.deepEqual(keptRows(made, TABLES), lostRows(made, TABLES))
        assert.equal(integrity(join(made.bundle.folder, 'database.db')), 'ok')
        for (const path of [
          made.before,
          made.after,
          made.bundle.folder,
          `${made.bundle.folder}.state`,
          `${made.bundle.folder}.wal`,
        ])
          rmSync(path, { recursive: true })
      },
    ),
    { numRuns: propertyRuns(150, 8) },
  )
})

/** Enough rows for several pages of each size. */
function numbered(table: string, rows: number, list: string): string {
  return `WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${rows})
    INSERT INTO ${table} SELECT ${list} FROM s`
}

test('an emptied or dropped table is kept, although its pages are only freed', async () => {
  for (const sql of [
    'DELETE FROM plain',
    'DROP TABLE plain',
    'DROP TABLE keyed',
    'DELETE FROM keyed',
  ]) {
    const made = await states(
      { ...PLAIN, pageSize: 1024 },
      (db) =>
        db.exec(`${SCHEMA}; ${numbered('plain', 2000, "n, 'row ' || n")};
        ${numbered('keyed', 2000, "'k' || n, n, n % 7, hex(randomblob(20))")};
        INSERT INTO keyed VALUES ('long', 1, 1, zeroblob(5000));
        INSERT INTO plain VALUES (zeroblob(70000), 1)`),
      (db) => db.exec(sql),
    )
    assert.ok(made.bundle.overwritten.length < 30, `${made.bundle.overwritten.length} pages`)
    const lost = lostRows(made, TABLES)
    assert.equal(lost.length, 2001)
    assert.deepEqual(keptRows(made, TABLES), lost)
  }
})

test('a row with one changed overflow page is kept, with no more than its page needs', async () => {
  const changing = "CAST(randomblob(8000) || x'01' || randomblob(999) AS BLOB)"
  const made = await states(
    PLAIN,
    (db) => db.exec(`${SCHEMA}; ${numbered('plain', 400, `n, ${changing}`)}`),
    (db) =>
      db.exec(
        `UPDATE plain SET b = CAST(substr(b, 1, 8000) || x'00' || substr(b, 8002) AS BLOB)
          WHERE rowid = 300`,
      ),
  )
  // Page 1 and the overflow page: SQLite overwrites only pages that differ.
  assert.equal(made.bundle.overwritten.length, 2)
  const row = lostRows(made, ['plain'])
  assert.equal(row.length, 1)
  assert.deepEqual(keptRows(made, TABLES), row)
  assert.ok(statSync(join(made.bundle.folder, 'pages.bin')).size < 40 * 4096)
})

test('rows of every size are read, with and without overflow pages', async () => {
  for (const pageSize of [512, 1024]) {
    const made = await states(
      { ...PLAIN, pageSize },
      (db) =>
        db.exec(`${SCHEMA}; ${numbered('plain', 2 * pageSize, 'n, zeroblob(n)')};
        ${numbered('keyed', 2 * pageSize, "'k', zeroblob(n), n, NULL")}`),
      (db) => db.exec('DELETE FROM plain; DELETE FROM keyed'),
    )
    assert.equal(made.bundle.isComplete, true)
    assert.deepEqual(keptRows(made, TABLES), lostRows(made, TABLES))
  }
})

test('unchanged rows of many pages cost nothing when their neighbours change', async () => {
  const within = "CAST(substr(a, 1, 200000) || x'00' || substr(a, 200002) AS BLOB)"
  for (const late of [
    'UPDATE longer SET a = 1 WHERE id = 2',
    'DELETE FROM longer WHERE id = 2',
    'DELETE FROM longer',
    // Only an overflow page of the third row changes.
    `UPDATE longer SET a = 1 WHERE id = 2; UPDATE longer SET a = ${within} WHERE id IN (3)`,
  ]) {
    const made = await states(
      PLAIN,
      (db) =>
        db.exec(`${SCHEMA}; ${numbered('longer', 4, 'n, iif(n = 2, n, randomblob(287000 + n))')}`),
      (db) => db.exec(late),
    )
    assert.equal(made.bundle.isComplete, true)
    assert.deepEqual(keptRows(made, TABLES), lostRows(made, TABLES))
    const { size } = statSync(join(made.bundle.folder, 'pages.bin'))
    const whole = late.includes(' IN ') ? 1 : late.includes('WHERE') ? 0 : 3
    assert.ok(
      size > 287_000 * whole && size < 287_000 * whole + 60_000,
      `${size} bytes after ${late}`,
    )
  }
})

test('a row of many pages is kept whole', async () => {
  const made = await states(
    { ...PLAIN, pageSize: 512 },
    (db) =>
      db.exec(
        `${SCHEMA}; INSERT INTO plain VALUES (1, randomblob(6000000));
          ${numbered('plain', 50, 'n, n')}`,
      ),
    (db) => db.exec("UPDATE plain SET a = 'x'; INSERT INTO plain VALUES (2, 2)"),
  )
  assert.equal(made.bundle.isComplete, true)
  assert.deepEqual(keptRows(made, TABLES), lostRows(made, TABLES))
})

test('the database has the whole old schema, including functions of an application', async () => {
  const made = await states(
    PLAIN,
    (db) => {
      db.function('own', { deterministic: true }, (x) => x)
      db.exec(`${SCHEMA};
        CREATE TABLE t (id INTEGER PRIMARY KEY,
          a CHECK (own(a) IS NOT 7 AND a <> ''), g AS (own(a)) STORED);
        CREATE INDEX t_own ON t (own(a)); CREATE VIRTUAL TABLE words USING fts5 (body);
        INSERT INTO t (a) VALUES (1), (2), (3); INSERT INTO words VALUES ('one two'), ('three')`)
    },
    (db) => {
      db.function('own', { deterministic: true }, (x) => x)
      db.exec("UPDATE t SET a = 'new' WHERE id = 2; INSERT INTO words VALUES ('four')")
    },
  )
  keptRows(made, TABLES)
  const path = join(made.bundle.folder, 'database.db')
  const schemaOf = (of: string) => {
    const db = new Database(of, { readonly: true })
    const rows = db
      .prepare(
        `SELECT type, name, tbl_name, sql FROM sqlite_schema
          WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name`,
      )
      .all()
    const [kept, content] = [
      db.prepare('SELECT id, a FROM t').all(),
      db.prepare('SELECT count(*) FROM words_data').pluck().get(),
    ]
    db.close()
    return { rows, kept, content }
  }
  const [old, kept] = [schemaOf(made.before), schemaOf(path)]
  assert.deepEqual(kept.rows, old.rows)
  assert.deepEqual(kept.kept, [{ id: 2, a: 2 }])
  assert.ok(Number(kept.content) > 0, 'the shadow tables have rows')
})

function integrity(path: string): unknown {
  const db = new Database(path, { readonly: true })
  try {
    return db.prepare('SELECT integrity_check FROM pragma_integrity_check').pluck().get()
  } finally {
    db.close()
  }
}

test('rotten pages are kept, and the bundle says that it is incomplete', async () => {
  const made = await states(
    PLAIN,
    (db) => db.exec(`${SCHEMA}; ${numbered('plain', 500, "n, 'row ' || n")}`),
    (db) => db.exec("UPDATE plain SET b = 'new'"),
    {
      rot: (image) =>
        image.fill(0x55, image.lastIndexOf('row 250'), image.lastIndexOf('row 250') + 20),
    },
  )
  assert.equal(made.bundle.isComplete, false)
  const path = join(made.bundle.folder, 'database.db')
  makeKeptDatabase(made.bundle.folder, made.bundle.pageSize, path, made.after)
  const kept = new Set(rowsOf(path, 'plain'))
  const lost = lostRows(made, ['plain'])
  assert.ok(
    kept.size > 0 && lost.filter((row) => kept.has(row)).length > 100,
    `${kept.size} of ${lost.length}`,
  )
})

test('no damage makes it throw or loop', async () => {
  const path = join(folder, 'sound')
  const [before, after] = [`${path}.before`, `${path}.after`]
  work(before, (db) => {
    db.pragma('page_size = 512')
    db.pragma('auto_vacuum = 1')
    db.exec(`${SCHEMA}; ${numbered('plain', 300, "n, 'row ' || n")};
      ${numbered('longer', 40, 'n, zeroblob(n * 40)')};
      ${numbered('keyed', 200, "'k' || n, n, n % 7, hex(randomblob(60))")}`)
  })
  copyFileSync(before, after)
  work(after, (db) =>
    db.exec(
      "UPDATE plain SET b = 'new' WHERE rowid % 9 = 0; DELETE FROM keyed; UPDATE longer SET a = 1",
    ),
  )
  const size = statSync(before).size
  const hit = fc.record({ at: fc.nat(size - 1), byte: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(fc.array(hit, { minLength: 1, maxLength: 40 }), async (hits) => {
      const bytes = readFileSync(before)
      for (const { at, byte } of hits) bytes[at] = byte
      const damaged = join(folder, `${++count}.damaged`)
      // The header's page size must be that of the copy.
      readFileSync(before).copy(bytes, 0, 0, 32)
      writeFileSync(damaged, bytes)
      const bundle = await makeBundle(join(folder, `${count}.bundle`), damaged, after)
      const records = new KeptRecords(bundle.folder, bundle.pageSize)
      let rows = 0
      for (const _ of records.rows()) rows++
      assert.ok(rows >= 0)
      records.close()
      rmSync(bundle.folder, { recursive: true })
    }),
    { numRuns: propertyRuns(150, 8) },
  )
})
