/**
 * Comparing two databases row by row: what differs, told exactly, and the SQL that takes it back.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { DatabasePair } from '../../src/rowdiff/databasePair.ts'
import {
  type Difference,
  type DiffOptions,
  diffDatabases,
  keyValues,
  type RowDifference,
} from '../../src/rowdiff/rowDiff.ts'
import { rowQuery } from '../../src/rowdiff/rowQueries.ts'
import { STATEMENT_ORDER, sqlScript } from '../../src/rowdiff/rowStatements.ts'
import { jsonValue, type SqlValue } from '../../src/rowdiff/rowValues.ts'
import { matchTables } from '../../src/rowdiff/tableMatch.ts'
import { readShapes } from '../../src/rowdiff/tableShape.ts'
import { dump, PairFolder, run } from '../support/databasePairs.ts'
import { propertyRuns } from '../support/propertyRuns.ts'

const folder = new PairFolder()
after(() => folder.remove())

type Pair = readonly [string, string]

function differences([before, after]: Pair, options?: DiffOptions): Difference[] {
  return [...diffDatabases(before, after, options)]
}

function rowsOf(pair: Pair, options?: DiffOptions): RowDifference[] {
  return differences(pair, options).filter((difference) => difference.type === 'row')
}

/** `kind key: before -> after` with values as in JSON. */
function told(pair: Pair, options?: DiffOptions): string[] {
  const json = (values: readonly SqlValue[] | null) =>
    JSON.stringify(values?.map(jsonValue) ?? null)
  return rowsOf(pair, options).map(
    (row) =>
      `${row.kind} ${row.match.table} ${json(keyValues(row))}: ` +
      `${json(row.before)} -> ${json(row.after)}`,
  )
}

/** What the comparison says of its rows. */
function counted(pair: Pair, options: DiffOptions = {}): [number, number][] {
  const heard: [number, number][] = []
  differences(pair, { ...options, onRows: (done, total) => heard.push([done, total]) })
  return heard
}

function scriptOf(pair: Pair, deletes: boolean, options: DiffOptions = {}): string {
  const found = diffDatabases(...pair, { ...options, order: STATEMENT_ORDER })
  return [...sqlScript(found, { deletes, updates: true })].join('')
}

function summaryOf(pair: Pair, options?: DiffOptions) {
  const last = differences(pair, options).at(-1)
  assert.ok(last?.type === 'summary')
  return last
}

// Random tables

interface TableSpec {
  readonly encoding: string
  readonly types: readonly string[]
  readonly collations: readonly string[]
  readonly key: 'none' | 'integer' | readonly number[]
  readonly withoutRowid: boolean
}

type Cell = null | bigint | number | string | Buffer

const cell = fc.oneof(
  fc.constantFrom<Cell>(
    null,
    0n,
    1n,
    2n,
    1,
    2.5,
    '1',
    '1.0',
    'a',
    'A',
    'a ',
    'B',
    'b',
    '',
    "it's",
    'é€😀',
    'a\0b',
    'A\0c',
    '\ufefft',
  ),
  fc.constantFrom<Cell>(
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 53n + 1n,
    2 ** 53,
    1e300,
    5e-324,
    0.1,
    -1.7976931348623157e308,
    Infinity,
    -Infinity,
  ),
  fc.constantFrom<Cell>(Buffer.alloc(0), Buffer.from('61', 'hex'), Buffer.from('00ff27', 'hex')),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.double({ noNaN: true }).map((value) => value + 0),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
)
const WIDTH = 4
const row = fc.array(cell, { minLength: WIDTH, maxLength: WIDTH })
const spec: fc.Arbitrary<TableSpec> = fc.record({
  encoding: fc.constantFrom('UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'),
  types: fc.array(fc.constantFrom('', 'INTEGER', 'TEXT', 'REAL', 'BLOB', 'NUMERIC'), {
    minLength: WIDTH,
    maxLength: WIDTH,
  }),
  collations: fc.array(fc.constantFrom('BINARY', 'NOCASE', 'RTRIM'), {
    minLength: WIDTH,
    maxLength: WIDTH,
  }),
  key: fc.oneof(
    fc.constantFrom<TableSpec['key']>('none', 'integer'),
    fc.uniqueArray(fc.nat(WIDTH - 1), { minLength: 1, maxLength: 3 }),
  ),
  withoutRowid: fc.boolean(),
})
interface RowSets {
  readonly both: readonly (readonly Cell[])[]
  readonly before: readonly (readonly Cell[])[]
  readonly after: readonly (readonly Cell[])[]
  readonly changes: readonly { readonly at: number; readonly column: number; readonly to: Cell }[]
}

/** Rows of both sides, then rows of one, of which some have the key of a row of both. */
const rowSets: fc.Arbitrary<RowSets> = fc.record({
  both: fc.array(row, { maxLength: 8 }),
  before: fc.array(row, { maxLength: 5 }),
  after: fc.array(row, { maxLength: 5 }),
  changes: fc.array(fc.record({ at: fc.nat(7), column: fc.nat(WIDTH - 1), to: cell }), {
    maxLength: 6,
  }),
})

const NAMES = ['c0', 'the "c1"', 'rowid', 'c3']
const quoted = NAMES.map((name) => `"${name.replaceAll('"', '""')}"`)
const TABLE = `"odd ""t'"`

function createSql({ types, collations, key, withoutRowid }: TableSpec): string {
  const columns = quoted.map((name, at) =>
    key === 'integer' && at === 0
      ? `${name} INTEGER PRIMARY KEY`
      : `${name} ${types[at]} COLLATE ${collations[at]}`,
  )
  if (Array.isArray(key)) columns.push(`PRIMARY KEY (${key.map((at) => quoted[at]).join(', ')})`)
  const suffix = withoutRowid && key !== 'none' ? ' WITHOUT ROWID' : ''
  return `CREATE TABLE ${TABLE} (${columns.join(', ')})${suffix}`
}

function hasOwnRowid({ key, withoutRowid }: TableSpec): boolean {
  return key === 'none' || (key !== 'integer' && !withoutRowid)
}

/** Rows get their place as rowid where the table does not say otherwise. */
function fill(path: string, table: TableSpec, rows: readonly (readonly Cell[])[]): void {
  const db = new Database(path)
  db.pragma('synchronous = OFF')
  db.pragma(`encoding = '${table.encoding}'`)
  db.exec(createSql(table))
  const names = hasOwnRowid(table) ? ['_rowid_', ...quoted] : quoted
  const places = names.map(() => '?').join(', ')
  const insert = db.prepare(
    `INSERT OR IGNORE INTO ${TABLE} (${names.join(', ')}) VALUES (${places})`,
  )
  db.exec('BEGIN')
  for (const [at, values] of rows.entries()) {
    try {
      insert.run(...(hasOwnRowid(table) ? [BigInt(at + 1)] : []), ...values)
    } catch (error) {
      // What a table refuses is not there to compare.
      assert.match(String(error), /datatype mismatch|NOT NULL/)
    }
  }
  db.exec('COMMIT')
  db.close()
}

// The same comparison with maps

function cellText(value: Cell): string {
  if (Buffer.isBuffer(value)) return `blob ${value.toString('hex')}`
  return `${value === null ? 'null' : typeof value} ${value}`
}

/** Equal for two keys that the collation takes for the same. */
function keyText(value: Cell, collation: string): string {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 63)
    return cellText(BigInt(value))
  if (typeof value !== 'string' || collation === 'BINARY') return cellText(value)
  if (collation === 'RTRIM') return cellText(value.replace(/ +$/, ''))
  // NOCASE compares up to the first NUL, then lengths in bytes.
  const folded = value.split('\0')[0].replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  return `string ${folded} ${Buffer.byteLength(value)}`
}

function readRows(path: string, table: TableSpec): Cell[][] {
  const db = new Database(path, { readonly: true })
  const names = hasOwnRowid(table) ? ['_rowid_', ...quoted] : [`0`, ...quoted]
  const rows = db
    .prepare<[], Cell[]>(`SELECT ${names.join(', ')} FROM ${TABLE}`)
    .raw()
    .safeIntegers()
    .all()
  db.close()
  return rows
}

function expected(pair: Pair, table: TableSpec): string[] {
  const [before, after] = pair.map((path) => readRows(path, table))
  const key = Array.isArray(table.key) ? table.key : table.key === 'integer' ? [0] : undefined
  const holdsNull = [...before, ...after].some((values) =>
    key?.some((at) => values[at + 1] === null),
  )
  const keyOfRow = (values: readonly Cell[]) =>
    key && !holdsNull
      ? key
          .map((at) =>
            keyText(values[at + 1], table.key === 'integer' ? 'BINARY' : table.collations[at]),
          )
          .join('\n')
      : cellText(values[0])
  const text = (values: readonly Cell[]) => values.slice(1).map(cellText).join('\n')
  const there = new Map(after.map((values) => [keyOfRow(values), values]))
  const found: string[] = []
  for (const values of before) {
    const other = there.get(keyOfRow(values))
    there.delete(keyOfRow(values))
    if (!other) found.push(`removed\n${text(values)}`)
    else if (text(values) !== text(other)) found.push(`changed\n${text(values)}\n${text(other)}`)
  }
  for (const values of there.values()) found.push(`added\n${text(values)}`)
  return found.sort()
}

function actual(pair: Pair): string[] {
  const valueText = (value: SqlValue) =>
    value !== null && typeof value === 'object' ? `${value.type} ${value.hex}` : cellText(value)
  return rowsOf(pair)
    .map(({ kind, match, before, after }) => {
      const text = (values: readonly SqlValue[] | null) =>
        values
          ? [
              values
                .slice(match.matchedBy === 'rowid' ? 1 : 0)
                .map(valueText)
                .join('\n'),
            ]
          : []
      return [kind, ...text(before), ...text(after)].join('\n')
    })
    .sort()
}

let made = 0

function randomPair(table: TableSpec, rows: RowSets): Pair {
  const { both, before, after, changes } = rows
  const changed = both.map((values) => [...values])
  for (const { at, column, to } of changes) if (changed[at]) changed[at][column] = to
  const pair = [folder.file(`random${made}a.db`), folder.file(`random${made}b.db`)] as const
  made++
  fill(pair[0], table, [...both, ...before])
  fill(pair[1], table, [...changed, ...after])
  return pair
}

/** Matched by rowid although there is a key. Few random tables are. */
const NULL_IN_KEY: TableSpec = {
  encoding: 'UTF-8',
  types: ['', '', '', ''],
  collations: ['BINARY', 'BINARY', 'BINARY', 'BINARY'],
  key: [0],
  withoutRowid: false,
}
const ONE_NULL_ROW: RowSets = { both: [], before: [[null, 1n, 2n, 'a']], after: [], changes: [] }

test('random tables: the differences are those that maps find, and the SQL takes them back', () => {
  const seen = { removed: 0, added: 0, changed: 0, refused: 0, rowid: 0 }
  fc.assert(
    fc.property(spec, rowSets, (table, rows) => {
      const pair = randomPair(table, rows)
      assert.deepEqual(actual(pair), expected(pair, table))
      for (const { kind, match } of rowsOf(pair)) {
        seen[kind]++
        if (match.matchedBy === 'rowid' && table.key !== 'none') seen.rowid++
      }
      try {
        run(pair[1], scriptOf(pair, true))
      } catch (error) {
        // By rowid, two rows may have exchanged a UNIQUE value, which no order of statements can
        // do.
        assert.match(String(error), /UNIQUE/)
        assert.equal(rowsOf(pair)[0].match.matchedBy, 'rowid')
        assert.ok(Array.isArray(table.key))
        seen.refused++
        return
      }
      assert.deepEqual(rowsOf(pair), [])
      const columns = hasOwnRowid(table) && table.key === 'none' ? ['_rowid_', ...quoted] : quoted
      assert.deepEqual(dump(pair[1], TABLE, columns), dump(pair[0], TABLE, columns))
    }),
    { numRuns: propertyRuns(400), examples: [[NULL_IN_KEY, ONE_NULL_ROW]] },
  )
  const { refused, ...wanted } = seen
  for (const [what, count] of Object.entries(wanted)) assert.ok(count > 0, what)
  assert.ok(refused < 40, `refused: ${refused}`)
})

test("Python's SQLite runs the SQL to the same rows", () => {
  const table: TableSpec = {
    encoding: 'UTF-8',
    types: ['', '', '', ''],
    collations: ['BINARY', 'NOCASE', 'RTRIM', 'BINARY'],
    key: [0, 3],
    withoutRowid: true,
  }
  const values = fc.sample(row, { numRuns: 60, seed: 7 })
  const pair = randomPair(table, {
    both: values.slice(0, 30),
    before: values.slice(30),
    after: [],
    changes: [{ at: 3, column: 1, to: 'new' }],
  })
  const script = scriptOf(pair, true)
  assert.ok(script.split('\nINSERT').length > 10)
  const python = `import sqlite3, sys
sqlite3.connect(sys.argv[1]).executescript(sys.stdin.buffer.read().decode())`
  execFileSync('python3', ['-c', python, pair[1]], { input: script })
  assert.deepEqual(dump(pair[1], TABLE, quoted), dump(pair[0], TABLE, quoted))
})

// One case each

test('values differ by type and by byte, whatever the collation', () => {
  const pair = folder.pair(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, v, n COLLATE NOCASE);
      INSERT INTO t VALUES (1, 1, ''), (2, 1, ''), (3, 'a', 'a'), (4, x'31', ''),
        (5, NULL, ''), (6, 0, '')`,
    `CREATE TABLE t (id INTEGER PRIMARY KEY, v, n COLLATE NOCASE);
      INSERT INTO t VALUES (1, 1.0, ''), (2, '1', ''), (3, 'a', 'A'), (4, '1', ''),
        (5, '', ''), (6, 0, '')`,
  )
  assert.deepEqual(told(pair), [
    'changed t [1]: [1,1,""] -> [1,{"real":"1.0"},""]',
    'changed t [2]: [2,1,""] -> [2,"1",""]',
    'changed t [3]: [3,"a","a"] -> [3,"a","A"]',
    'changed t [4]: [4,{"blob":"31"},""] -> [4,"1",""]',
    'changed t [5]: [5,null,""] -> [5,"",""]',
  ])
})

test('a key matches by its collation and its spelling is a change', () => {
  const create = 'CREATE TABLE t (k TEXT COLLATE NOCASE, PRIMARY KEY (k)) WITHOUT ROWID;'
  const pair = folder.pair(
    `${create} INSERT INTO t VALUES ('Ab')`,
    `${create} INSERT INTO t VALUES ('aB')`,
  )
  assert.deepEqual(told(pair), ['changed t ["Ab"]: ["Ab"] -> ["aB"]'])
  assert.match(scriptOf(pair, false), /\nUPDATE "t" SET "k" = 'Ab' WHERE "k" = 'aB';\n/)
})

test('the collation of the key is that of its index', () => {
  const create = 'CREATE TABLE t (k TEXT COLLATE NOCASE, PRIMARY KEY (k COLLATE BINARY));'
  const pair = folder.pair(
    `${create} INSERT INTO t VALUES ('a'), ('A')`,
    `${create} INSERT INTO t VALUES ('A')`,
  )
  assert.deepEqual(told(pair), ['removed t ["a"]: ["a"] -> null'])
})

/** What rows of each table are matched by, or why it is skipped. */
function matching(pair: Pair): Record<string, string> {
  const { tables, skipped } = summaryOf(pair)
  return Object.fromEntries([
    ...tables.map(({ match }) => [
      match.table,
      match.matchedBy === 'rowid' ? match.fields[0] : match.key.map(({ name }) => name).join(),
    ]),
    ...skipped.map(({ table, reason }) => [table, reason]),
  ])
}

test('rows are matched by primary key, else by the rowid under a name that is free', () => {
  const create = `
    CREATE TABLE alias (id INTEGER PRIMARY KEY, v);
    CREATE TABLE composite (a, b, v, PRIMARY KEY (b, a));
    CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, v);
    CREATE TABLE keyless (v);
    CREATE TABLE nullable (k TEXT PRIMARY KEY, v); INSERT INTO nullable VALUES (NULL, 1);
    CREATE TABLE shadowed (RowId, v);
    CREATE TABLE shadowed2 (rowid, _rowid_ AS (v), v);
    CREATE TABLE shadowed3 (rowid, oid, _ROWID_, v);
    CREATE TABLE shadowedKey (rowid TEXT PRIMARY KEY, oid, _rowid_) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5(word);`
  assert.deepEqual(
    Object.entries(matching(folder.pair(create, create))).filter(
      ([name]) => !name.startsWith('words_'),
    ),
    Object.entries({
      alias: 'id',
      composite: 'b,a',
      descending: 'id',
      keyless: 'rowid',
      nullable: 'rowid',
      shadowed: '_rowid_',
      shadowed2: 'oid',
      shadowedKey: 'rowid',
      shadowed3: 'it has no primary key, and columns take every name of the rowid',
      words: 'it is a virtual table',
    }),
  )
})

test('a collation of an application leaves the rowid, or nothing', () => {
  const make = (name: string) => {
    const path = folder.file(name)
    const python = `import sqlite3
c = sqlite3.connect(${JSON.stringify(path)})
c.create_collation('mine', lambda a, b: (a > b) - (a < b))
c.executescript("""
  CREATE TABLE t (k TEXT COLLATE mine PRIMARY KEY, v);
  CREATE INDEX i ON t (v COLLATE mine, k);
  INSERT INTO t VALUES ('a', 'b');
  CREATE TABLE x (a TEXT, b TEXT AS (a) STORED, c TEXT AS (a) STORED);
  CREATE INDEX xa ON x (a COLLATE mine);
  CREATE TABLE w (k TEXT COLLATE mine PRIMARY KEY) WITHOUT ROWID""")
c.commit()`
    execFileSync('python3', ['-c', python])
    return path
  }
  const pair = [make('mine1.db'), make('mine2.db')] as const
  assert.deepEqual(matching(pair), {
    t: 'rowid',
    x: 'rowid',
    w: 'it has no primary key of a built-in collation and no rowid',
  })
  assert.deepEqual(told(pair), [])
})

test('keys that are declared differently are not matched', () => {
  const pair = folder.pair(
    `CREATE TABLE a (k TEXT PRIMARY KEY, v); CREATE TABLE b (k TEXT PRIMARY KEY) WITHOUT ROWID;
      CREATE TABLE c (x INT, y INT, PRIMARY KEY (x, y));
      CREATE TABLE d (k ANY PRIMARY KEY) STRICT; CREATE TABLE e (k ANY PRIMARY KEY) STRICT`,
    `CREATE TABLE a (k TEXT COLLATE NOCASE PRIMARY KEY, v);
      CREATE TABLE b (k INT PRIMARY KEY) WITHOUT ROWID;
      CREATE TABLE C (y INT, X INT, PRIMARY KEY (Y, x)); CREATE TABLE d (k ANY PRIMARY KEY);
      CREATE TABLE e (k PRIMARY KEY)`,
  )
  assert.deepEqual(matching(pair), {
    a: 'rowid',
    b: 'it has no primary key in common and no rowid',
    c: 'x,y',
    d: 'rowid',
    e: 'k',
  })
})

test('generated columns are left out, and columns of one side are named', () => {
  const pair = folder.pair(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a, g AS (a || 1), s AS (a || 2) STORED, old);
      INSERT INTO t VALUES (1, 2, 3), (2, 2, 4)`,
    `CREATE TABLE T (ID INTEGER PRIMARY KEY, new, A, g AS (a || 3), s AS (a || 4) STORED);
      INSERT INTO t VALUES (1, 5, 6)`,
  )
  assert.deepEqual(told(pair), ['removed t [2]: [2,2] -> null', 'changed t [1]: [1,2] -> [1,6]'])
  const [{ match }] = summaryOf(pair).tables
  assert.deepEqual([match.columnsOnlyBefore, match.columnsOnlyAfter], [['old'], ['new']])
  const script = scriptOf(pair, true)
  assert.match(script, /^-- left out, since only the table before has it: old$/m)
  run(pair[1], script)
  assert.deepEqual(told(pair), [])
})

test('a table of one side is a difference of the schema, and its rows are told', () => {
  const pair = folder.pair(
    `CREATE TABLE old (v); INSERT INTO old VALUES (1); CREATE TABLE clash (v);
      INSERT INTO clash VALUES (1); CREATE INDEX i ON old (v)`,
    `CREATE TABLE new (k TEXT PRIMARY KEY); INSERT INTO new VALUES (2);
      CREATE VIEW clash AS SELECT 1`,
  )
  assert.deepEqual(told(pair), [
    'removed clash [1]: [1,1] -> null',
    'added new ["2"]: null -> ["2"]',
    'removed old [1]: [1,1] -> null',
  ])
  const schema = differences(pair).flatMap((difference) =>
    difference.type === 'schema' ? [difference.difference] : [],
  )
  assert.deepEqual(
    schema.map(({ type, name, before, after }) => [type, name, before, after]),
    [
      ['table', 'clash', 'CREATE TABLE clash (v)', null],
      ['table', 'new', null, 'CREATE TABLE new (k TEXT PRIMARY KEY)'],
      ['table', 'old', 'CREATE TABLE old (v)', null],
      ['index', 'i', 'CREATE INDEX i ON old (v)', null],
      ['view', 'clash', null, 'CREATE VIEW clash AS SELECT 1'],
    ],
  )
  const kept = scriptOf(pair, false)
  assert.match(kept, /^-- rows left alone, its name is taken by something else, or .*: 1$/m)
  assert.match(kept, /^-- rows left alone, only the table after has them \(--deletes\): 1$/m)
  assert.doesNotMatch(kept, /^(DELETE|CREATE (INDEX|VIEW))/m)
  run(pair[1], scriptOf(pair, true))
  assert.deepEqual(told(pair), ['removed clash [1]: [1,1] -> null'])
})

test('shadow tables are compared and get no statements', () => {
  const create = 'CREATE VIRTUAL TABLE f USING fts5(w);'
  const pair = folder.pair(
    `${create} INSERT INTO f VALUES ('one')`,
    `${create} INSERT INTO f VALUES ('two')`,
  )
  assert.ok(told(pair).some((line) => line.startsWith('changed f_content')))
  const script = scriptOf(pair, true)
  assert.match(script, /^-- table f was not compared: it is a virtual table$/m)
  assert.match(script, /^-- rows left alone, the table belongs to a virtual table: 1$/m)
  assert.doesNotMatch(script, /^(INSERT|UPDATE|DELETE)/m)
})

test('tables of SQLite itself are left out', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE INDEX i ON t (id);'
  const pair = folder.pair(`${create} INSERT INTO t VALUES (9); DELETE FROM t; ANALYZE`, create)
  assert.deepEqual(matching(pair), { t: 'id' })
  assert.deepEqual(told(pair), [])
})

test('only some tables, only some keys, only so many rows', () => {
  const pair = folder.pair(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (10, 1);
      CREATE TABLE u (a TEXT, b, PRIMARY KEY (a, b));
      INSERT INTO u VALUES ('x', 1), ('x', x'0A'), ('y', 2)`,
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (a TEXT, b, PRIMARY KEY (a, b))',
  )
  assert.equal(told(pair).length, 6)
  assert.deepEqual(told(pair, { tables: ['T'], keys: ['1', '01', 'x'] }), [
    'removed t [1]: [1,1] -> null',
  ])
  assert.deepEqual(told(pair, { keys: ['x,1', 'x,0a', '2'] }), [
    'removed t [2]: [2,2] -> null',
    'removed u ["x",1]: ["x",1] -> null',
    'removed u ["x",{"blob":"0a"}]: ["x",{"blob":"0a"}] -> null',
  ])
  assert.equal(told(pair, { limit: 2 }).length, 4)
  assert.deepEqual(
    summaryOf(pair, { limit: 0 }).tables.map(({ counts }) => counts.removed),
    [3, 3],
  )
  assert.match(scriptOf(pair, true, { limit: 1 }), /^-- more rows, over the limit: 2$/m)
  assert.throws(() => told(pair, { tables: ['t', 'none'] }), { key: 'BAD_REQUEST' })
})

test('a blob is named in any hexadecimal, and a key that names no row is told', () => {
  const create = `CREATE TABLE bl (id BLOB PRIMARY KEY, v);
      CREATE TABLE two (a TEXT, b, v, PRIMARY KEY (a, b));
      CREATE TABLE n (id INTEGER PRIMARY KEY, v);`
  const pair = folder.pair(
    `${create} INSERT INTO bl VALUES (x'00ff', 1), ('AB', 2), (x'ab', 3), (7, 1);
      INSERT INTO two VALUES ('x,y', 1, 1), ('x', x'0aFF', 2);
      INSERT INTO n VALUES (17, 1), (18, 1)`,
    `${create} INSERT INTO bl VALUES (7, 1); INSERT INTO n VALUES (18, 1), (19, 1)`,
  )
  for (const key of ['00ff', '00FF', "x'00ff'", "X'00FF'", '0x00ff'])
    assert.deepEqual(told(pair, { tables: ['bl'], keys: [key] }).length, 1, key)
  assert.deepEqual(told(pair, { tables: ['bl'], keys: ["x'AB'"] }), [
    'removed bl [{"blob":"ab"}]: [{"blob":"ab"},3] -> null',
  ])
  assert.equal(
    told(pair, { tables: ['bl'], keys: ['AB'] }).length,
    2,
    'a text, and a blob in capitals',
  )
  for (const key of ['x,0aff', 'x,0AFF', "x,x'0aff'", 'x,0x0AFF', 'x,y,1'])
    assert.equal(told(pair, { tables: ['two'], keys: [key] }).length, 1, key)
  const keys = ['17', '18', '19', '20', '00FF', 'x,0AFF', '00fg', "x'0'", '', '017', 'x,y,2']
  for (const isOneSided of [false, true])
    assert.deepEqual(
      summaryOf(pair, { keys, isOneSided }).missingKeys,
      ['20', '00fg', "x'0'", '', '017', 'x,y,2'],
      `one-sided: ${isOneSided}`,
    )
  assert.deepEqual(summaryOf(pair).missingKeys, [])
  assert.throws(() => told(pair, { tables: ['two'], keys: ['x,1', '17'] }), {
    key: 'BAD_REQUEST',
    message: 'table two: the key has 2 columns (a, b), and "17" names 1; join them by commas',
  })
  assert.equal(told(pair, { tables: ['two', 'n'], keys: ['17'] }).length, 1, 'it fits one of them')
})

test('foreign keys hold when the script is done', () => {
  const create = `CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b);
      CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a);`
  const pair = folder.pair(
    `${create} INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (2, 1)`,
    create,
  )
  const db = new Database(pair[1])
  db.pragma('foreign_keys = ON')
  db.exec(scriptOf(pair, true))
  assert.deepEqual(db.pragma('foreign_key_check'), [])
  db.close()
  assert.deepEqual(told(pair), [])
})

test('a value moves from a row that goes to one that comes, under UNIQUE', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE);'
  const pair = folder.pair(
    `${create} INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
    `${create} INSERT INTO t VALUES (1, 'b'), (3, 'a')`,
  )
  run(pair[1], scriptOf(pair, true))
  assert.deepEqual(told(pair), [])
})

test('triggers are named in the script', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY);'
  const pair = folder.pair(
    `${create} INSERT INTO t VALUES (1)`,
    `${create} CREATE TRIGGER hook AFTER INSERT ON t BEGIN SELECT 1; END`,
  )
  assert.match(scriptOf(pair, true), /^-- these triggers run with the statements: hook$/m)
})

test('text that is no Unicode is told and restored byte by byte', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v);'
  const values =
    "(1, CAST(x'61ff00' AS TEXT)), (2, char(0xfeff) || 'x'), " +
    "(3, 'line' || char(10) || 'end' || char(13)), (4, '--;''\"')"
  const pair = folder.pair(`${create} INSERT INTO t VALUES ${values}`, create)
  assert.equal(told(pair)[0], 'removed t [1]: [1,{"text":"61ff00"}] -> null')
  run(pair[1], scriptOf(pair, false))
  assert.deepEqual(dump(pair[1], 't', ['id', 'v']), dump(pair[0], 't', ['id', 'v']))
})

for (const encoding of ['UTF-16le', 'UTF-16be'])
  test(`lone surrogates and control characters in ${encoding}`, () => {
    const create = `PRAGMA encoding='${encoding}'; CREATE TABLE t (id INTEGER PRIMARY KEY, v);`
    const values = "(1, CAST(x'd8d8d8d8' AS TEXT)), (2, 'é' || char(0) || '😀'), (3, 'é')"
    const pair = folder.pair(`${create} INSERT INTO t VALUES ${values}`, create)
    assert.deepEqual(told(pair), [
      'removed t [1]: [1,{"text":"d8d8d8d8"}] -> null',
      'removed t [2]: [2,"é\\u0000😀"] -> null',
      'removed t [3]: [3,"é"] -> null',
    ])
    run(pair[1], scriptOf(pair, false))
    assert.deepEqual(
      dump(pair[1], 't', ['id', 'v', 'CAST(v AS BLOB)']),
      dump(pair[0], 't', ['id', 'v', 'CAST(v AS BLOB)']),
    )
  })

test('a module, a function or a table that the library does not know stops nothing', () => {
  const create = `CREATE TABLE t (v); INSERT INTO t VALUES (1);
    CREATE VIEW broken AS SELECT unknown(v) FROM missing;`
  const unknown = `${create} PRAGMA writable_schema=ON; INSERT INTO sqlite_schema
    VALUES ('table', 'u', 'u', 0, 'CREATE VIRTUAL TABLE u USING unknown(x)')`
  const pair = folder.pair(unknown, create)
  assert.deepEqual(matching(pair), { t: 'rowid', u: 'it is a virtual table' })
  assert.match(scriptOf(pair, true), /^-- before: CREATE VIRTUAL TABLE u USING unknown\(x\)$/m)
})

test('comments cannot be broken out of', () => {
  const pair = folder.pair(
    'CREATE TABLE "x\nDROP TABLE y;\r" (v /* \n; */)',
    'CREATE TABLE y (v); CREATE VIEW "x\nDROP TABLE y;\r" AS SELECT 1; CREATE TABLE t (v); ' +
      'CREATE TRIGGER "a\nDROP TABLE y;" AFTER INSERT ON t BEGIN SELECT 1; END',
  )
  run(pair[1], scriptOf(pair, true))
  assert.equal(dump(pair[1], 'y', ['v']).length, 0)
})

test('wide tables', () => {
  const columns = Array.from({ length: 990 }, (_, at) => `c${at}`)
  const create = `CREATE TABLE t (id INTEGER PRIMARY KEY, ${columns.join(', ')});`
  const pair = folder.pair(
    `${create} INSERT INTO t (id, c989) VALUES (1, 1)`,
    `${create} INSERT INTO t (id, c989) VALUES (1, 2)`,
  )
  assert.equal(rowsOf(pair).length, 1)
  const more = columns.map((name) => `d${name}`)
  const wider = `CREATE TABLE t (${[...columns, ...more].join(', ')})`
  assert.deepEqual(matching(folder.pair(wider, wider)), { t: 'it has more than 1000 columns' })
})

// Files

test('databases in WAL mode: a snapshot while others write, and no file is left', () => {
  const create = 'PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY);'
  const live = folder.make("live ' ?#%41.db", create)
  const idle = folder.make('idle é.db', `${create} INSERT INTO t VALUES (1), (2)`)
  const image = statSync(idle, { bigint: true }).mtimeNs
  const writer = new Database(live)
  const steps = diffDatabases(live, idle)
  steps.next()
  writer.exec('INSERT INTO t VALUES (1), (2), (3)')
  const kinds = [...steps].flatMap((step) => (step.type === 'row' ? [step.kind] : []))
  assert.deepEqual(kinds, ['added', 'added'])
  assert.deepEqual(told([idle, live]), ['added t [3]: null -> [3]'])
  assert.ok(existsSync(`${live}-wal`), 'the WAL of a live database stays')
  writer.close()
  const left = readdirSync(folder.path).filter((name) =>
    /^(live|idle).*-(wal|shm|journal)$/.test(name),
  )
  assert.deepEqual(left, [])
  assert.equal(statSync(idle, { bigint: true }).mtimeNs, image, 'nothing was written')
})

test('a caller that stops early ends the snapshot', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY);'
  const pair = folder.pair(`${create} INSERT INTO t VALUES (1), (2)`, create)
  for (const difference of diffDatabases(...pair)) if (difference.type === 'row') break
  run(pair[0], 'PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES (3)')
  assert.equal(told(pair).length, 3)
})

test('what is no database is told by the error that fits, and nothing is made', () => {
  const good = folder.make('good.db', 'CREATE TABLE t (v)')
  const wide = folder.make('wide.db', "PRAGMA encoding='UTF-16le'; CREATE TABLE t (v)")
  const junk = folder.file('junk.db')
  writeFileSync(junk, 'no database '.repeat(400))
  const directory = folder.file('directory')
  mkdirSync(directory)
  const dangling = folder.file('dangling.db')
  symlinkSync(folder.file('nowhere.db'), dangling)
  const list = readdirSync(folder.path)
  for (const [path, key] of [
    [folder.file('missing.db'), 'DB_MISSING'],
    [folder.file('no/folder/missing.db'), 'DB_MISSING'],
    [`${good}/x.db`, 'DB_UNREADABLE'],
    [dangling, 'DB_MISSING'],
    [junk, 'DB_NOT_SQLITE'],
    [directory, 'DB_NOT_SQLITE'],
    [wide, 'ENCODINGS_DIFFER'],
    ['x\0y', 'DB_UNREADABLE'],
  ]) {
    assert.throws(() => differences([good, path]), { key }, `${path} after`)
    assert.throws(() => differences([path, good]), { key }, `${path} before`)
  }
  assert.deepEqual(readdirSync(folder.path), list)
})

test('an empty file is an empty database, and a link is followed', () => {
  const empty = folder.file('empty.db')
  writeFileSync(empty, '')
  const full = folder.make('full.db', 'CREATE TABLE t (v); INSERT INTO t VALUES (1)')
  symlinkSync(full, folder.file('link.db'))
  assert.equal(told([empty, folder.file('link.db')]).length, 1)
  assert.deepEqual(told([full, folder.file('link.db')]), [])
})

test('a broken page is DB_CORRUPT', () => {
  const create = `CREATE TABLE t (id INTEGER PRIMARY KEY, v);
      INSERT INTO t WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        SELECT i, hex(randomblob(20)) FROM n`
  const [good, bad] = folder.pair(create, create)
  const file = openSync(bad, 'r+')
  writeSync(file, Buffer.alloc(4096, 7), 0, 4096, 3 * 4096)
  closeSync(file)
  assert.throws(() => differences([good, bad]), { key: 'DB_CORRUPT' })
})

test('every scan looks rows up by key', () => {
  const create = `CREATE TABLE a (id INTEGER PRIMARY KEY, v);
    CREATE TABLE b (k TEXT COLLATE NOCASE, j, v, PRIMARY KEY (k, j)) WITHOUT ROWID;
    CREATE TABLE c (k REAL PRIMARY KEY COLLATE RTRIM, v); CREATE INDEX cv ON c (v, k);
    CREATE TABLE d (v); CREATE INDEX dv ON d (v);
    CREATE TABLE e (v TEXT, g TEXT AS (v) STORED, h TEXT AS (v) STORED); CREATE INDEX ev ON e (v);`
  const pair = new DatabasePair(...folder.pair(create, create))
  const [before, after] = [readShapes(pair.db, 'main'), readShapes(pair.db, 'other')]
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const match = matchTables(pair.db, before.get(name), after.get(name))
    assert.ok('fields' in match)
    for (const kind of STATEMENT_ORDER) {
      const plan = pair.db
        .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${rowQuery(match, kind)}`)
        .all()
      const [scan, search, ...more] = plan.map(({ detail }) => detail)
      assert.match(scan, /^SCAN a$/, name)
      const keyed = /(INTEGER PRIMARY KEY|PRIMARY KEY|(COVERING )?INDEX sqlite_autoindex_c_1)/
      assert.match(search, new RegExp(`^SEARCH b USING ${keyed.source} \\(`), name)
      assert.deepEqual(more, [])
    }
  }
  pair.close()
})

test('rows are counted on the way, each once for every question about it', () => {
  const rows = (table: string, count: number) =>
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    INSERT INTO ${table} SELECT i, 'row ' || i FROM n;`
  const table = (name: string) => `CREATE TABLE ${name}(id INTEGER PRIMARY KEY, what);`
  const text = 'CREATE TABLE k(id TEXT PRIMARY KEY, what) WITHOUT ROWID;'
  const before = `${table('a')}${rows('a', 3000)}${text}${rows('k', 1000)}`
  const pair = folder.pair(before, `${before}${table('b')}${rows('b', 500)}`)
  // Those of both databases three times: what is gone, what is other, what is new.
  const total = 3 * 4000 + 500
  const heard = counted(pair)
  assert.deepEqual(heard[0], [0, total])
  assert.ok(heard.length > 10)
  for (const [i, [done]] of heard.entries()) assert.equal(done, 1024 * i)
  assert.ok(total - (heard[heard.length - 1]?.[0] ?? 0) < 1024)
  assert.deepEqual(told(pair, { tables: ['a', 'k'] }), [])
  assert.deepEqual(counted(pair, { tables: ['a'], isOneSided: true })[0], [0, 6000])
  assert.deepEqual(counted(pair, { keys: ['7'] }), [], 'few rows are looked at')
  assert.equal(rowsOf(pair, { onRows() {} }).length, 500)
})
