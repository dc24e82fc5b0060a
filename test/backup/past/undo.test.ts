/** Transactions of random rows are taken back from an archive, and SQL says what must be left. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { PastArchive } from '../../../src/backup/past/pastArchive.ts'
import { applyUndo } from '../../../src/backup/past/undoApply.ts'
import { changesIn, planOf } from '../../../src/backup/past/undoRange.ts'
import { DirectoryStore } from '../../../src/backup/stores/directoryStore.ts'
import { keyOf } from '../../../src/errors.ts'
import { systemFileOps } from '../../../src/platform/fileOps.ts'
import { diffDatabases } from '../../../src/rowdiff/rowDiff.ts'
import type { Winner } from '../../../src/rowdiff/rowUndo.ts'
import { undoScript } from '../../../src/rowdiff/undoScript.ts'
import { FIRST, type State } from '../../support/archives.ts'
import { storePast } from '../../support/pastArchives.ts'
import { propertyRuns } from '../../support/propertyRuns.ts'

const folder = mkdtempSync(join(tmpdir(), 'walcast-undo-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let made = 0

const SCHEMA = `
  CREATE TABLE r (id INTEGER PRIMARY KEY, a, b TEXT UNIQUE, g AS (length(b)), s AS (a) STORED);
  CREATE TABLE n (a, b); CREATE UNIQUE INDEX n_b ON n (lower(b)) WHERE b IS NOT NULL;
  CREATE TABLE w (k TEXT COLLATE NOCASE, j REAL, v, PRIMARY KEY (k, j)) WITHOUT ROWID;
  CREATE TABLE p (k BLOB NOT NULL PRIMARY KEY, v INTEGER, c TEXT DEFAULT 'd');
  CREATE TABLE child (id INTEGER PRIMARY KEY, r REFERENCES r ON DELETE CASCADE, t);
  CREATE TABLE log (what);
  CREATE TRIGGER r_gone AFTER DELETE ON r BEGIN INSERT INTO log VALUES ('gone ' || old.id); END;
  CREATE TRIGGER n_new AFTER INSERT ON n BEGIN UPDATE p SET v = v + 1; END;`

/** What names a row of each table. */
const KEYS: Readonly<Record<string, string>> = {
  r: 'id',
  n: 'rowid',
  w: "lower(k) || ' ' || j",
  p: 'quote(k)',
  child: 'id',
  log: 'rowid',
}
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  r: ['id', 'a', 'b'],
  n: ['a', 'b'],
  w: ['k', 'j', 'v'],
  p: ['k', 'v', 'c'],
  child: ['id', 'r', 't'],
  log: ['what'],
}

const small = fc.integer({ min: 1, max: 6 })
const value = fc.oneof(
  small.map(String),
  fc.constantFrom('NULL', '1.5', '2.0', "'it''s'", "'é'", "x'00ff'", "char(0) || 'a'", '-0.5'),
  // Over several pages.
  small.map((seed) => `replace(hex(zeroblob(${200 * seed})), '00', 'v${seed}')`),
)
const name = fc.constantFrom("'a'", "'A'", "'b'", "'c'", "'d'", 'NULL')
const key = fc.constantFrom("x'01'", "x'02'", "'t'", '7')
const id = small.map(String)
const statement = fc.oneof(
  fc.tuple(id, value, name).map(([i, v, b]) => `INSERT OR IGNORE INTO r VALUES (${i}, ${v}, ${b})`),
  fc
    .tuple(id, value, name)
    .map(([i, v, b]) => `UPDATE OR IGNORE r SET a=${v}, b=${b} WHERE id=${i}`),
  fc.tuple(id, value).map(([i, v]) => `UPDATE r SET a = ${v} WHERE id = ${i}`),
  id.map((i) => `DELETE FROM r WHERE id = ${i}`),
  fc.tuple(value, name).map(([v, b]) => `INSERT OR IGNORE INTO n VALUES (${v}, ${b})`),
  fc.tuple(id, value).map(([i, v]) => `UPDATE n SET a = ${v} WHERE rowid = ${i}`),
  id.map((i) => `DELETE FROM n WHERE rowid = ${i}`),
  fc.tuple(fc.constantFrom("'k'", "'K'", "'l'"), id, value).map(
    ([k, j, v]) => `INSERT INTO w VALUES (${k}, ${j} / 2, ${v})
      ON CONFLICT DO UPDATE SET k = excluded.k, v = excluded.v`,
  ),
  id.map((j) => `DELETE FROM w WHERE j = ${j} / 2`),
  fc.tuple(key, id).map(([k, v]) => `INSERT OR IGNORE INTO p (k, v) VALUES (${k}, ${v})`),
  fc.tuple(key, value).map(([k, v]) => `UPDATE p SET c = ${v} WHERE k = ${k}`),
  key.map((k) => `DELETE FROM p WHERE k = ${k}`),
  fc
    .tuple(id, id, value)
    .map(([i, r, v]) => `INSERT OR IGNORE INTO child SELECT ${i}, id, ${v} FROM r WHERE id = ${r}`),
)
const transaction = fc.array(statement, { minLength: 1, maxLength: 4 })

/** Rows by table and key: the values of their columns as SQL literals. */
type Content = ReadonlyMap<string, readonly string[]>

function contentOf(path: string): Content {
  const db = new Database(path, { readonly: true })
  const rows = new Map<string, readonly string[]>()
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const values = columns.map((column) => `typeof(${column}) || quote(${column})`).join(', ')
    const sql = `SELECT '${table} ' || ${KEYS[table]}, ${values} FROM ${table}`
    for (const [row, ...rest] of db.prepare<[], string[]>(sql).raw().iterate()) rows.set(row, rest)
  }
  db.close()
  return rows
}

const isSame = (a: readonly string[] | undefined, b: readonly string[] | undefined) =>
  JSON.stringify(a) === JSON.stringify(b)

/** Rows that differ between two states. */
function differing(a: Content, b: Content): Set<string> {
  return new Set([...a.keys(), ...b.keys()].filter((row) => !isSame(a.get(row), b.get(row))))
}

interface Past {
  readonly archive: PastArchive
  readonly contents: readonly Content[]
  readonly states: readonly State[]
  readonly folder: string
}

async function pastOf(transactions: readonly (readonly string[])[]): Promise<Past> {
  const own = join(folder, String(++made))
  mkdirSync(own)
  const steps = transactions.map((each) => `BEGIN; ${each.join('; ')}; COMMIT`)
  const store = new DirectoryStore(join(own, 'archive'), systemFileOps)
  const states = await storePast(store, join(own, 'source.db'), [SCHEMA, ...steps], {
    pageSize: 512,
  })
  const contents = states.map(({ bytes }, i) => {
    const path = join(own, `state-${i}.db`)
    writeFileSync(path, bytes)
    return contentOf(path)
  })
  return { archive: await PastArchive.open(store), contents, states, folder: own }
}

/** What undoing the transactions after state `before` up to `last` leaves. */
async function undone(
  { archive, states, folder: own }: Past,
  before: number,
  last: number,
  winner: Winner,
) {
  const at = (i: number) => archive.find({ kind: 'txid', txid: FIRST + i })
  const range = {
    before: await at(before),
    last: await at(last),
    newest: await at(states.length - 1),
  }
  const files = mkdtempSync(join(own, 'undo-'))
  const changes = await changesIn(archive, range, files, [])
  const path = join(files, 'live.db')
  writeFileSync(path, states[states.length - 1].bytes)
  let refused: string | undefined
  try {
    applyUndo(path, undoScript(planOf(changes, winner)))
  } catch (error) {
    refused = keyOf(error)
  }
  const db = new Database(path)
  const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()
  const integrity = db.pragma('integrity_check', { simple: true })
  db.close()
  assert.deepEqual([triggers.sort(), integrity], [['n_new', 'r_gone'], 'ok'])
  return { content: contentOf(path), changes, refused }
}

/** What must be left of each row. */
function expected(past: Past, before: number, last: number, winner: Winner): Content {
  const { contents } = past
  const [then, done, now] = [contents[before], contents[last], contents[contents.length - 1]]
  const result = new Map(now)
  const isLater = differing(done, now)
  for (const row of differing(then, done)) {
    if (isLater.has(row) && winner === 'keep') continue
    const [a, b, c] = [then.get(row), done.get(row), now.get(row)]
    const kept = a && b && c ? c.map((each, i) => (a[i] === b[i] ? each : a[i])) : a
    if (kept) result.set(row, kept)
    else result.delete(row)
  }
  return result
}

const sorted = (content: Content) => [...content].sort(([a], [b]) => (a < b ? -1 : 1))
const runs = { numRuns: propertyRuns(100), interruptAfterTimeLimit: 60_000 }

test('undoing the last transactions gives the state before them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(transaction, { minLength: 1, maxLength: 8 }),
      fc.nat(),
      async (transactions, seed) => {
        const past = await pastOf(transactions)
        const last = past.states.length - 1
        const before = seed % last
        const { content, changes, refused } = await undone(past, before, last, 'undo')
        assert.equal(refused, undefined)
        assert.equal(changes.conflicts.size, 0)
        assert.equal(changes.rows, differing(past.contents[before], past.contents[last]).size)
        assert.deepEqual(sorted(content), sorted(past.contents[before]))
      },
    ),
    runs,
  )
})

test('rows that later transactions changed are in conflict, and either side can win', async () => {
  let applied = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(transaction, { minLength: 3, maxLength: 8 }),
      fc.nat(),
      fc.constantFrom<Winner>('keep', 'undo'),
      async (transactions, seed, winner) => {
        const past = await pastOf(transactions)
        const newest = past.contents.length - 1
        const before = seed % (newest - 1)
        const last = before + 1
        const { content, changes, refused } = await undone(past, before, last, winner)
        const own = differing(past.contents[before], past.contents[last])
        const later = differing(past.contents[last], past.contents[newest])
        assert.equal(changes.rows, own.size)
        // A row that is again what it was before is in no conflict.
        const aim = expected(past, before, last, 'undo')
        const again = [...own].filter((row) => later.has(row))
        const isSettled = (row: string) => isSame(aim.get(row), past.contents[newest].get(row))
        assert.equal(changes.settled.size, again.filter(isSettled).length)
        assert.equal(changes.conflicts.size, again.filter((row) => !isSettled(row)).length)
        // What was freed may have been taken since: a unique value, or the row of a reference.
        if (refused) assert.deepEqual(sorted(content), sorted(past.contents[newest]))
        else assert.deepEqual(sorted(content), sorted(expected(past, before, last, winner)))
        if (refused) assert.equal(refused, 'UNDO_REFUSED')
        else applied++
      },
    ),
    runs,
  )
  assert.ok(applied > 0)
})

test('the rows on changed pages differ as the whole states do', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(transaction, { minLength: 2, maxLength: 8 }),
      async (transactions) => {
        const past = await pastOf(transactions)
        const last = past.states.length - 1
        const { changes } = await undone(past, 0, last, 'undo')
        const whole = [0, last].map((i) => join(past.folder, `state-${i}.db`))
        const rows = (all: Iterable<unknown>) => [...all].map((row) => JSON.stringify(row, asText))
        assert.deepEqual(
          rows(changes.differences()).sort(),
          rows([...diffDatabases(whole[0], whole[1])].filter(({ type }) => type === 'row')).sort(),
        )
      },
    ),
    runs,
  )
})

const asText = (_: string, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each)

test('columns that only later transactions changed stay, and gone rows come back', async () => {
  const past = await pastOf([
    ["INSERT INTO r VALUES (1, 'a', 'x'), (2, 'a', 'y'), (3, 'a', 'z')"],
    ["UPDATE r SET a = 'wrong' WHERE id < 4"],
    ["UPDATE r SET b = 'later' WHERE id = 1", 'DELETE FROM r WHERE id = 2'],
  ])
  const { content, changes, refused } = await undone(past, 1, 2, 'undo')
  assert.deepEqual([refused, changes.conflicts.size], [undefined, 2])
  assert.deepEqual(
    ['r 1', 'r 2', 'r 3'].map((row) => content.get(row)),
    [
      ['integer1', "text'a'", "text'later'"],
      ['integer2', "text'a'", "text'y'"],
      ['integer3', "text'a'", "text'z'"],
    ],
  )
})

test('an undo that the database does not fit any more changes nothing', async () => {
  const past = await pastOf([
    ["INSERT INTO r VALUES (1, 'a', 'x'), (2, 'a', 'y')"],
    ["UPDATE r SET a = 'wrong' WHERE id = 1", 'DELETE FROM r WHERE id = 2'],
  ])
  const at = (i: number) => past.archive.find({ kind: 'txid', txid: FIRST + i })
  const range = { before: await at(1), last: await at(2), newest: await at(2) }
  const steps = [
    ...undoScript(
      planOf(
        await changesIn(past.archive, range, mkdtempSync(join(past.folder, 'u-')), []),
        'undo',
      ),
    ),
  ]
  for (const [write, reason] of [
    ["UPDATE r SET a = 'other' WHERE id = 1", /row "id" = 1: this is no longer as the archive/],
    ["INSERT INTO r VALUES (2, 'new', NULL)", /UNIQUE constraint failed: r.id/],
    ["INSERT INTO r VALUES (5, 'new', 'y')", /UNIQUE constraint failed: r.b/],
    ['DROP TRIGGER r_gone', /no such trigger/],
    ['CREATE TRIGGER t AFTER UPDATE ON r BEGIN SELECT 1; END', /the archive does not know/],
  ] as const) {
    const path = join(past.folder, `live-${++made}.db`)
    writeFileSync(path, past.states[2].bytes)
    const db = new Database(path)
    db.exec(write)
    db.close()
    const content = contentOf(path)
    assert.throws(
      () => applyUndo(path, steps),
      (error: Error) => keyOf(error) === 'UNDO_REFUSED' && reason.test(error.message),
      write,
    )
    assert.deepEqual(contentOf(path), content)
  }
})

test('tables that were created or changed, and broken references, are refused', async () => {
  const refusal = async (transactions: readonly (readonly string[])[], before: number) => {
    const past = await pastOf(transactions)
    const last = past.states.length - 1
    return undone(past, before, last, 'undo').then(
      ({ refused }) => refused ?? 'applied',
      (error: Error) => (keyOf(error) === 'UNDO_REFUSED' ? error.message : String(error)),
    )
  }
  const row = "INSERT INTO r VALUES (1, 'a', 'x')"
  const fts = 'CREATE VIRTUAL TABLE f USING fts5 (x)'
  assert.match(
    await refusal([[row], ['CREATE TABLE q (x)', 'INSERT INTO q VALUES (1)']], 1),
    /created table q/,
  )
  assert.match(
    await refusal([[row], ['ALTER TABLE r ADD COLUMN z', 'DELETE FROM r']], 1),
    /columns of table r \(z\)/,
  )
  assert.match(await refusal([[row, fts], ["INSERT INTO f VALUES ('x')"]], 1), /virtual table/)
  const child = 'INSERT INTO child VALUES (1, 1, NULL)'
  assert.equal(await refusal([[row], [child]], 0), 'applied')
  const past = await pastOf([[row], [child]])
  assert.equal((await undone(past, 0, 1, 'undo')).refused, 'UNDO_REFUSED')
})
