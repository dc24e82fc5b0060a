/** `walcast diff` as a process: its three formats, its summary line, its exit codes. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { PairFolder, run } from '../support/databasePairs.ts'
import { CLI } from '../support/paths.ts'

const folder = new PairFolder()
after(() => folder.remove())

const CREATE = `CREATE TABLE orders (id INTEGER PRIMARY KEY, total, note);
  CREATE TABLE same (v); INSERT INTO same VALUES (1); CREATE VIRTUAL TABLE words USING fts5(word);`
const [before, behind] = folder.pair(
  `${CREATE}
  INSERT INTO orders VALUES (1, 1.0, 'a'), (2, 9007199254740993, x'0aff'), (3, NULL, 'x');
  CREATE INDEX i ON orders (note)`,
  `${CREATE}
  INSERT INTO orders VALUES
    (1, 1, 'a'), (3, 1e999, 'x'), (4, 0.5, char(27) || 'it''s' || char(10))`,
)

function diff(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, 'diff', ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  return { code: status, stdout, stderr }
}

test('the text shows every difference', () => {
  assert.deepEqual(diff(before, behind), {
    code: 1,
    stdout: `index i: the schema differs
  - CREATE INDEX i ON orders (note)
  + none
orders: 1 only in BEFORE, 1 only in AFTER, 2 changed
  - [id=2] total=9007199254740993, note=x'0aff'
  ~ [id=1] total=1.0 -> 1
  ~ [id=3] total=NULL -> Infinity
  + [id=4] total=0.5, note='\\u{1b}it's\\u{a}'
words: skipped, it is a virtual table
`,
    stderr: '4 rows differ in 1 table; 1 schema difference; 1 table skipped\n',
  })
})

test('--limit holds for each table, and hidden rows are counted', () => {
  const { stdout, stderr } = diff(before, behind, '--limit', '1', '--table', 'orders')
  const lines = [
    '^orders: 1 only in BEFORE, 1 only in AFTER, 2 changed',
    ' {2}- \\[id=2\\].*',
    ' {2}3 more not shown \\(see --limit\\)\n$',
  ]
  assert.match(stdout, new RegExp(lines.join('\n'), 'm'))
  assert.match(stderr, /^4 rows differ in 1 table; 1 schema difference\n$/)
})

test('long values are shortened', () => {
  const pair = folder.pair(
    'CREATE TABLE t (v); INSERT INTO t VALUES (hex(zeroblob(50000))), (zeroblob(50000))',
    'CREATE TABLE t (v)',
  )
  const { stdout } = diff(...pair)
  assert.match(stdout, /v='0{60}\.\.\. \(100000 characters\)'/)
  assert.match(stdout, /v=x'0{60}\.\.\. \(50000 bytes\)'/)
  assert.ok(stdout.length < 400)
})

test('--json gives every value without loss', () => {
  const { code, stdout } = diff(before, behind, '--json')
  assert.equal(code, 1)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(lines.slice(0, 5), [
    {
      schema: { type: 'index', name: 'i', before: 'CREATE INDEX i ON orders (note)', after: null },
    },
    {
      table: 'orders',
      kind: 'removed',
      key: { id: 2 },
      before: { id: 2, total: { integer: '9007199254740993' }, note: { blob: '0aff' } },
      after: null,
    },
    {
      table: 'orders',
      kind: 'changed',
      key: { id: 1 },
      before: { id: 1, total: { real: '1.0' }, note: 'a' },
      after: { id: 1, total: 1, note: 'a' },
    },
    {
      table: 'orders',
      kind: 'changed',
      key: { id: 3 },
      before: { id: 3, total: null, note: 'x' },
      after: { id: 3, total: { real: 'Infinity' }, note: 'x' },
    },
    {
      table: 'orders',
      kind: 'added',
      key: { id: 4 },
      before: null,
      after: { id: 4, total: 0.5, note: "\u001bit's\n" },
    },
  ])
  assert.equal(lines.length, 6)
  const { summary } = lines[5]
  assert.equal(summary.schemaDifferences, 1)
  assert.deepEqual(summary.skipped, [{ table: 'words', reason: 'it is a virtual table' }])
  assert.deepEqual(
    summary.tables.find(({ table }: { table: string }) => table === 'orders'),
    {
      table: 'orders',
      matchedBy: 'primary key',
      removed: 1,
      added: 1,
      changed: 2,
      columnsOnlyBefore: [],
      columnsOnlyAfter: [],
    },
  )
})

const MANY_ROWS = `
  WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
  INSERT INTO t SELECT i, hex(zeroblob(20)) FROM n`

test('--json gives all rows by default, to a slow reader too', () => {
  const pair = folder.pair(`CREATE TABLE t (id, v); ${MANY_ROWS}`, 'CREATE TABLE t (id, v)')
  const { stdout } = diff(...pair, '--json')
  assert.equal(stdout.trimEnd().split('\n').length, 30_001)
})

test('diff ends quietly when its reader goes away', async () => {
  const pair = folder.pair(`CREATE TABLE t (id, v); ${MANY_ROWS}`, 'CREATE TABLE t (id, v)')
  const child = spawn(process.execPath, [CLI, 'diff', ...pair, '--json'])
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = await once(child, 'close')
  assert.deepEqual([code, stderr], [1, ''])
})

test('--sql brings the missing rows back', () => {
  const [first, second] = folder.pair(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2)',
    'CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (2, 3), (4, 4)',
  )
  const { code, stdout, stderr } = diff(first, second, '--sql')
  assert.deepEqual([code, stderr], [1, '2 rows differ in 1 table\n'])
  const [head, body] = stdout.split('BEGIN;\n')
  assert.match(head, /^-- Run this at the leader, on the leader's own database file/)
  assert.match(head, /^-- Check before: "walcast status" says role leader there/m)
  assert.match(head, /^-- Run it with a shell that stops at the first error \(sqlite3 -bail\)/m)
  assert.equal(
    body,
    `PRAGMA defer_foreign_keys=ON;
-- table t, rows matched by primary key
-- conflict in "t": "id" = 2
--   before: "id" = 2, "v" = 2
--   after:  "id" = 2, "v" = 3
INSERT INTO "t" ("id", "v") VALUES (1, 1);
-- rows left alone, both have them with other values (--updates): 1
COMMIT;
`,
  )
  const statements = (...args: string[]) =>
    diff(first, second, '--sql', ...args).stdout.match(/^(INSERT|UPDATE|DELETE).*/gm)
  assert.deepEqual(statements('--updates'), [
    'UPDATE "t" SET "v" = 2 WHERE "id" = 2;',
    'INSERT INTO "t" ("id", "v") VALUES (1, 1);',
  ])
  assert.deepEqual(statements('--deletes', '--key', '4'), ['DELETE FROM "t" WHERE "id" = 4;'])
  run(second, diff(first, second, '--sql', '--deletes', '--updates').stdout)
  assert.deepEqual(diff(first, second), { code: 0, stdout: '', stderr: 'no rows differ\n' })
})

test('the exit code tells whether the files differ', () => {
  assert.equal(diff(before, before).code, 0)
  const schema = folder.pair('CREATE TABLE t (v)', 'CREATE TABLE t (v); CREATE INDEX i ON t (v)')
  assert.equal(diff(...schema).code, 1)
  const rows = folder.pair('CREATE TABLE t (v); INSERT INTO t VALUES (1)', 'CREATE TABLE t (v)')
  for (const flags of [[], ['--json'], ['--sql'], ['--limit', '0']]) {
    assert.equal(diff(...rows, ...flags).code, 1, flags.join(' '))
    assert.equal(diff(...rows, ...flags, '--exit-zero').code, 0, flags.join(' '))
  }
  const [one, two] = rows
  assert.equal(diff(two, one, '--sql').code, 0, 'rows that only AFTER has are not looked for')
  assert.equal(diff(two, one, '--sql', '--deletes').code, 1)
})

test('help goes to standard output, and diff is in the list of commands', () => {
  const { code, stdout, stderr } = diff('--help')
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^walcast diff BEFORE AFTER/)
  const { stdout: all } = spawnSync(process.execPath, [CLI, '--help'], { encoding: 'utf8' })
  assert.match(all, /^Comparing\n {2}diff /m)
})

test('a key without a row is named, and SQL creates a table that AFTER lacks', () => {
  const told = diff(before, behind, '--key', '17', '--key', '1', '--key', 'x\ny', '--json')
  assert.equal(
    told.stderr,
    '--key 17: no such row in either file\n--key x y: no such row in either file\n' +
      '1 row differs in 1 table; 1 schema difference; 1 table skipped\n',
  )
  const pair = folder.pair('CREATE TABLE t (v); INSERT INTO t VALUES (1)', 'CREATE TABLE other (v)')
  assert.match(diff(...pair, '--sql').stdout, /^CREATE TABLE/m)
})

test('wrong use is one line and exit code 2, a failure one line and exit code 3', () => {
  writeFileSync(folder.file('text.txt'), 'no database')
  const twoColumns = folder.pair(
    'CREATE TABLE two (a, b, PRIMARY KEY (a, b))',
    'CREATE TABLE two (a, b, PRIMARY KEY (a, b))',
  )
  for (const args of [
    [],
    [before],
    [before, behind, behind],
    [before, behind, '--json', '--sql'],
    [before, behind, '--deletes'],
    [before, behind, '--updates'],
    [before, behind, '--limit', 'x'],
    [before, behind, '--no-such-option'],
    [before, behind, '--limit', '-1'],
    [before, behind, '--table', 'none'],
    [...twoColumns, '--table', 'two', '--key', '17'],
  ]) {
    const { code, stdout, stderr } = diff(...args)
    assert.deepEqual([code, stdout, stderr.split('\n').length], [2, '', 2], args.join(' '))
    assert.match(stderr, /^WALCAST_USAGE: /)
  }
  const line = (...args: string[]) => diff(before, behind, ...args).stderr
  assert.match(line('--limit', '-1'), /: --limit wants a whole number, not "-1"; /)
  assert.match(line('--limit', '--json'), /: --limit wants a value; /)
  assert.match(line('--tabel', 'orders'), /\(did you mean --table\?\)/)
  assert.match(line('--table', 'none'), /: neither database has a table "none" to compare; /)
  for (const [args, start] of [
    [[before, folder.file('none.db')], /^WALCAST_DB_MISSING: /],
    [[folder.path, before], /^WALCAST_DB_NOT_SQLITE: /],
    [[before, folder.file('text.txt')], /^WALCAST_DB_NOT_SQLITE: /],
  ] as const) {
    const { code, stdout, stderr } = diff(...args, '--exit-zero')
    assert.doesNotMatch(stderr, /--db|start again|node/)
    assert.deepEqual([code, stdout, stderr.split('\n').length], [3, '', 2], args.join(' '))
    assert.match(stderr, start)
  }
})
