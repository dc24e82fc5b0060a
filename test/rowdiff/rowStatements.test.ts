/**
 * The SQL of `walcast diff`: it takes nothing from the second database, whatever the rows and names
 * are.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, test } from 'node:test'
import { isPlain } from '../../src/plainText.ts'
import { diffDatabases } from '../../src/rowdiff/rowDiff.ts'
import { STATEMENT_ORDER, sqlScript } from '../../src/rowdiff/rowStatements.ts'
import { dump, PairFolder, run } from '../support/databasePairs.ts'

const folder = new PairFolder()
after(() => folder.remove())

function scriptOf(pair: readonly [string, string], flags: { updates?: boolean } = {}): string {
  const found = diffDatabases(...pair, { order: STATEMENT_ORDER, isOneSided: true })
  return [...sqlScript(found, { deletes: false, updates: false, ...flags })].join('')
}

/** Another version of SQLite, and a reader of the script that knows nothing of it. */
function runInPython(path: string, script: string): void {
  const program = `import sqlite3, sys
sqlite3.connect(sys.argv[1]).executescript(sys.stdin.buffer.read().decode())`
  execFileSync('python3', ['-c', program, path], { input: script, stdio: ['pipe', 'pipe', 'pipe'] })
}

test('a key that both sides gave out after a split keeps the second row, and both are told', () => {
  const create = 'CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, who, note);'
  const pair = folder.pair(
    `${create} INSERT INTO log VALUES (5, 'lost', 'new'), (6, 'lost too', NULL)`,
    `${create} INSERT INTO log VALUES (5, 'kept', 'new')`,
  )
  const script = scriptOf(pair)
  const conflict = [
    '-- conflict in "log": "id" = 5',
    `--   before: "id" = 5, "who" = 'lost', "note" = 'new'`,
    `--   after:  "id" = 5, "who" = 'kept', "note" = 'new'`,
  ]
  assert.match(script, new RegExp(`^${conflict.join('\n')}$`, 'm'))
  const kept = dump(pair[1], 'log', ['id', 'who'])
  runInPython(pair[1], script)
  const [, lostToo] = dump(pair[0], 'log', ['id', 'who'])
  assert.deepEqual(dump(pair[1], 'log', ['id', 'who']), [...kept, lostToo])
})

const HOSTILE = [
  '*/ DROP TABLE victim; /*',
  'a\nDROP TABLE victim;\n',
  'a\r\nDROP TABLE victim;',
  'a\rDROP TABLE victim;',
  '-- \n; DROP TABLE victim; --',
  "'); DROP TABLE victim; --",
  "'\n); DROP TABLE victim; --",
  'a\0\nDROP TABLE victim;',
  '\u2028DROP TABLE victim;\u2029\u0085DROP TABLE victim;\v\f',
  '\u202e;elbat PORD',
  '\n'.repeat(3000),
  '.shell touch owned\n/\ngo\n;',
]

function sqlText(text: string): string {
  return `CAST(x'${Buffer.from(text).toString('hex')}' AS TEXT)`
}

for (const updates of [false, true])
  test(`no value breaks out of a ${updates ? 'statement' : 'comment'}`, () => {
    const victim = 'CREATE TABLE victim (v); INSERT INTO victim VALUES (1);'
    const create = `${victim} CREATE TABLE t (id INTEGER PRIMARY KEY, v);
      CREATE TABLE k (k PRIMARY KEY, v);`
    const rows = (own: boolean) =>
      HOSTILE.map((hostile, at) => {
        const text = sqlText(hostile)
        const key = sqlText(`${at}${hostile}`)
        const more = `INSERT INTO t VALUES (${at + 200}, ${text});
          INSERT INTO k VALUES (${key}, CAST(${text} AS BLOB));`
        return `INSERT INTO t VALUES (${at}, ${own ? text : at});
          INSERT INTO t VALUES (${at + 100}, ${own ? at : text});
          INSERT INTO k VALUES (${text}, ${own ? text : at}); ${own ? more : ''}`
      }).join('\n')
    const pair = folder.pair(`${create} ${rows(true)}`, `${create} ${rows(false)}`)
    const untouched = dump(pair[1], 't', ['id', 'v']).concat(dump(pair[1], 'k', ['k', 'v']))
    const script = scriptOf(pair, { updates })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(script, /[\0-\x08\x0b-\x1f\x7f]/)
    if (!updates) {
      const comments = script.split('\n').filter((line) => line.startsWith('-- '))
      assert.equal(
        comments.filter((line) => line.startsWith('-- conflict in ')).length,
        3 * HOSTILE.length,
      )
      assert.doesNotMatch(comments.join('\n'), /[\u0085\u2028\u2029\u202e]/)
    }
    runInPython(pair[1], script)
    assert.equal(dump(pair[1], 'victim', ['v']).length, 1)
    const found = [...diffDatabases(...pair)].filter(({ type }) => type === 'row')
    assert.equal(found.length, updates ? 0 : 3 * HOSTILE.length)
    if (updates) return
    const now = new Set(dump(pair[1], 't', ['id', 'v']).concat(dump(pair[1], 'k', ['k', 'v'])))
    assert.ok(
      untouched.every((row) => now.has(row)),
      'no row of the second is another one',
    )
    assert.equal(now.size, untouched.length + 2 * HOSTILE.length)
  })

test('a value in a comment is a literal that gives it back', () => {
  const create = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v);'
  const values = ['line one\nline two', "it's", 'tab\tand\r\nmore', 'nul\0', '\u2028']
  const insert = (of: (text: string, at: number) => string) =>
    `INSERT INTO t VALUES ${values.map((text, at) => `(${at}, ${of(text, at)})`).join(', ')}`
  const pair = folder.pair(
    `${create} ${insert(sqlText)}`,
    `${create} ${insert((_, at) => String(at))}`,
  )
  const literals = [...scriptOf(pair).matchAll(/^-- {3}before: "id" = \d+, "v" = (.*)$/gm)].map(
    ([, v]) => v,
  )
  assert.equal(literals.length, values.length)
  assert.ok(literals[0].includes("'line one' || char(10) || 'line two'"))
  const again = folder.make('again.db', `${create} ${insert((_, at) => literals[at])}`)
  assert.deepEqual(dump(again, 't', ['id', 'v']), dump(pair[0], 't', ['id', 'v']))
})

test('names are quoted in statements and harmless in comments', () => {
  const table = '"t"" */\nDROP TABLE victim; --"'
  const column = '"c"" */\nDROP TABLE victim; --"'
  const create = `CREATE TABLE victim (v);
    CREATE TABLE ${table} (id INTEGER PRIMARY KEY, ${column});`
  const pair = folder.pair(
    `${create} INSERT INTO ${table} VALUES (1, 1), (2, 2)`,
    `${create} INSERT INTO ${table} VALUES (1, 3)`,
  )
  runInPython(pair[1], scriptOf(pair))
  assert.deepEqual(dump(pair[1], table, ['id', column]).length, 2)
  assert.deepEqual(dump(pair[1], 'victim', ['v']), [])
})

test('a name steers no terminal from a comment, and stays as it is in a statement', () => {
  const odd = '\x1b]0;x\x07\u009b2J\u202e\r'
  const create = `CREATE TABLE "t${odd}" (id INTEGER PRIMARY KEY, "c${odd}");`
  const pair = folder.pair(
    `${create} INSERT INTO "t${odd}" VALUES (1, 1), (2, 2)`,
    `${create} CREATE TABLE "s${odd}" (v); INSERT INTO "t${odd}" VALUES (1, 3)`,
  )
  const script = scriptOf(pair)
  const comments = script.split('\n').filter((line) => line.startsWith('-- '))
  assert.ok(comments.some((line) => line.startsWith('-- conflict in "t')))
  assert.ok(isPlain(comments.join('')))
  assert.ok(!isPlain(script.replaceAll('\n', '')))
  runInPython(pair[1], script)
  assert.equal(dump(pair[1], `"t${odd}"`, ['id', `"c${odd}"`]).length, 2)
})

test('a table whose conflicts REPLACE or IGNORE loses no row and skips none', () => {
  for (const policy of ['REPLACE', 'IGNORE']) {
    const create = `CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT ${policy});`
    const pair = folder.pair(
      `${create} INSERT INTO t VALUES (1, 'a'), (3, 'c')`,
      `${create} INSERT INTO t VALUES (2, 'a')`,
    )
    const script = scriptOf(pair)
    assert.throws(() => runInPython(pair[1], script), /UNIQUE constraint failed: t\.u/)
    assert.deepEqual(
      dump(pair[1], 't', ['id']),
      dump(folder.make(`${policy}.db`, `${create} INSERT INTO t VALUES (2, 'a')`), 't', ['id']),
    )
  }
})

test('what a file holds behind a CREATE statement does not run', () => {
  const behind = [
    'CREATE TABLE t (v); DROP TABLE victim',
    'CREATE TABLE t (v) /* ',
    'CREATE TABLE t (v) --',
  ]
  for (const sql of behind) {
    const pair = folder.pair(
      `CREATE TABLE t (v); INSERT INTO t VALUES (1); PRAGMA writable_schema=ON;
        UPDATE sqlite_schema SET sql = '${sql}'`,
      'CREATE TABLE victim (v)',
    )
    const script = scriptOf(pair)
    run(pair[1], script)
    assert.deepEqual(dump(pair[1], 'victim', ['v']), [])
    assert.match(script, /^COMMIT;$/m)
    if (!sql.includes(';')) assert.equal(dump(pair[1], 't', ['v']).length, 1, sql)
  }
})
