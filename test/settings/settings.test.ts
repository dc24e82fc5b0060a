/** The format of settings, what is refused, and what a cache must never give. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { type Kek, Keyring, newKek } from '../../src/security/keyring.ts'
import { type Settings, type SettingsOptions, settings } from '../../src/settings/settings.ts'
import type { SettingValue } from '../../src/settings/settingValue.ts'

const root = mkdtempSync(join(tmpdir(), 'walcast-settings-'))
const opened: Database.Database[] = []
after(() => {
  for (const db of opened) db.close()
  rmSync(root, { recursive: true, force: true })
})
let made = 0

function open(path = join(root, `${++made}.db`)): Database.Database {
  const db = new Database(path)
  opened.push(db)
  db.pragma('journal_mode = wal')
  db.pragma('synchronous = off')
  return db
}

function setUp(options: SettingsOptions = {}) {
  const db = open()
  const kek = newKek()
  const keys = Keyring.of([kek])
  return { db, kek, keys, store: settings(db, keys, options) }
}

/** The same settings as another program sees them: nothing in memory. */
const anew = (db: Database.Database, keys?: Keyring) => settings(open(db.name), keys)

const code = (key: string) => ({ code: `WALCAST_${key}` })

const wellFormed = (text: string) => !/\p{Surrogate}/u.test(text)
const anyName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((text) => wellFormed(text) && !/\p{Cc}/u.test(text))
const anyValue: fc.Arbitrary<SettingValue> = fc.oneof(
  fc.string({ unit: 'binary' }).filter(wellFormed),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value))),
)

test('any value comes back under any name, plain and encrypted', () => {
  const { db, keys, store } = setUp()
  const other = anew(db, keys)
  fc.assert(
    fc.property(anyName, anyValue, fc.boolean(), (name, value, encrypt) => {
      store.set(name, value, { encrypt })
      assert.deepEqual(store.get(name), value)
      assert.deepEqual(other.get(name), value)
      const [info] = store.list({ prefix: name, limit: 1 })
      assert.deepEqual([info.name, info.encrypted], [name, encrypt])
    }),
    { numRuns: 300 },
  )
})

test('text is a string, bytes are a Buffer, and JSON is frozen', () => {
  const { store } = setUp()
  store.set('text', '{"a":1}')
  assert.equal(store.get('text'), '{"a":1}')
  store.set('bytes', new Uint8Array([0, 255]))
  const bytes = store.get('bytes')
  assert.ok(Buffer.isBuffer(bytes))
  bytes[0] = 9
  assert.deepEqual(store.get('bytes'), Buffer.from([0, 255]), 'each caller has its own')
  store.set('json', { list: [{ a: 1 }], gone: undefined } as unknown as SettingValue)
  const value = store.get('json') as { list: { a: number }[] }
  assert.deepEqual(value, { list: [{ a: 1 }] })
  assert.throws(() => {
    value.list[0].a = 2
  }, TypeError)
  for (const plain of [null, false, 0, -1.5]) {
    store.set('json', plain)
    assert.equal(store.get('json'), plain)
  }
})

test('a missing name is undefined, before and after the first write, and once deleted', () => {
  const { db, store } = setUp()
  assert.equal(store.get('a'), undefined)
  assert.deepEqual(store.list(), [])
  assert.equal(store.delete('a'), false)
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck()
  assert.equal(tables.get(), 0, 'reading makes no table')
  store.set('a', 'x')
  assert.equal(store.get('b'), undefined)
  assert.equal(store.delete('a'), true)
  assert.equal(store.get('a'), undefined)
  assert.equal(store.delete('a'), false)
})

test('plain text and JSON can be read with SQL', () => {
  const { db, store } = setUp()
  store.set('text', 'hello')
  store.set('json', { a: [1] })
  store.set('secret', 'hello', { encrypt: true })
  const rows = db.prepare('SELECT name, type, value FROM walcast_settings').raw().all() as [
    string,
    string,
    unknown,
  ][]
  assert.deepEqual(rows.slice(0, 2), [
    ['text', 'text', 'hello'],
    ['json', 'json', '{"a":[1]}'],
  ])
  assert.ok(Buffer.isBuffer(rows[2][2]))
})

test('no byte of an encrypted value or of its data key stands in the database', () => {
  const { db, kek, store } = setUp()
  store.set('secret', 'correct horse battery', { encrypt: true })
  const rows = JSON.stringify(
    [...db.prepare('SELECT hex(value) FROM walcast_settings').raw().all()].concat(
      db.prepare('SELECT hex(wrapped) FROM walcast_settings_keys').raw().all(),
    ),
  )
  assert.ok(!rows.includes(Buffer.from('correct horse').toString('hex').toUpperCase()))
  assert.ok(!rows.includes(kek.key.toUpperCase()))
  assert.equal(db.serialize().includes('correct horse'), false)
})

test('list tells names, sizes and keys in order, never values', () => {
  const { kek, store } = setUp()
  store.set('b', 'four', { encrypt: true })
  store.set('a:2', Buffer.alloc(7))
  store.set('a:1', 'ü')
  const infos = store.list()
  assert.deepEqual(
    infos.map(({ name, type, bytes, encrypted, kek: by }) => [name, type, bytes, encrypted, by]),
    [
      ['a:1', 'text', 2, false, undefined],
      ['a:2', 'bytes', 7, false, undefined],
      ['b', 'text', 4, true, kek.id],
    ],
  )
  const names = (given: Parameters<Settings['list']>[0]) =>
    store.list(given).map(({ name }) => name)
  assert.deepEqual(names({ prefix: 'a:' }), ['a:1', 'a:2'])
  assert.deepEqual(names({ limit: 2 }), ['a:1', 'a:2'])
  assert.deepEqual(names({ after: 'a:1', limit: 1 }), ['a:2'])
  assert.ok(!JSON.stringify(infos).includes('four'))
})

test('what is no setting is refused before anything is written', () => {
  const { db, store } = setUp({ maxNameBytes: 10, maxValueBytes: 20 })
  const circle: unknown[] = []
  circle.push(circle)
  const refused: [string, unknown][] = [
    ['', 'x'],
    ['ü'.repeat(6), 'x'],
    ['a\nb', 'x'],
    ['a\0', 'x'],
    ['\ud800', 'x'],
    ['a', '\udfff'],
    ['a', 'x'.repeat(21)],
    ['a', Buffer.alloc(21)],
    ['a', ['x'.repeat(17)]],
    ['a', undefined],
    ['a', Number.NaN],
    ['a', [undefined]],
    ['a', () => 1],
    ['a', 1n],
    ['a', { at: new Date(0) }],
    ['a', new Map()],
    ['a', { toJSON: () => 1 }],
    ['a', circle],
  ]
  for (const [name, value] of refused)
    assert.throws(() => store.set(name, value as SettingValue), code('SETTING_REFUSED'))
  assert.equal(db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get(), 0)
  store.set('ü'.repeat(5), 'x'.repeat(20))
  for (const options of [{ table: 'A' }, { table: 'a b' }, { table: 'sqlite_a' }, { table: '' }])
    assert.throws(() => settings(db, undefined, options), code('BAD_REQUEST'))
  assert.throws(() => settings(db, undefined, { maxValueBytes: -1 }), code('BAD_REQUEST'))
})

test('every changed byte of a value, of its data key and of its columns is refused', () => {
  const { db, keys, store } = setUp()
  store.set('a', 'secret', { encrypt: true })
  const read = () => settings(db, keys).get('a')
  for (const [table, column] of [
    ['walcast_settings', 'value'],
    ['walcast_settings_keys', 'wrapped'],
  ]) {
    const right = db.prepare(`SELECT ${column} FROM ${table}`).pluck().get() as Buffer
    const write = db.prepare(`UPDATE ${table} SET ${column} = ?`)
    for (let at = 0; at < right.length; at++) {
      const changed = Buffer.from(right)
      changed[at] ^= 1 << (at % 8)
      write.run(changed)
      assert.throws(read, code('SETTING_ALTERED'), `byte ${at} of ${column}`)
    }
    for (const other of ['text', Buffer.alloc(0), right.subarray(1)]) {
      write.run(other)
      assert.throws(read, code('SETTING_ALTERED'))
    }
    write.run(right)
  }
  assert.equal(read(), 'secret')
  for (const type of ['bytes', 'json', 'none']) {
    db.prepare('UPDATE walcast_settings SET type = ?').run(type)
    assert.throws(read, code('SETTING_ALTERED'), type)
  }
})

test('a value under another name, data key or table is refused', () => {
  const { db, keys, store } = setUp()
  const other = settings(db, keys, { table: 'other' })
  store.set('a', 'of a', { encrypt: true })
  store.set('b', 'of b', { encrypt: true })
  other.set('a', 'of other', { encrypt: true })
  const put = (sql: string) => db.exec(sql)
  put(`UPDATE walcast_settings SET value = (SELECT value FROM walcast_settings WHERE name = 'b')
WHERE name = 'a'`)
  assert.throws(() => store.get('a'), code('SETTING_ALTERED'))
  assert.equal(store.get('b'), 'of b')
  put(`INSERT INTO walcast_settings_keys SELECT 9, id, kek, wrapped, created_at FROM other_keys;
UPDATE walcast_settings SET (value, data_key) = (SELECT value, data_key FROM other)
WHERE name = 'a'`)
  assert.throws(() => store.get('a'), code('SETTING_ALTERED'))
  // A data key under the id of another, though this program has opened the right one before.
  put('UPDATE walcast_settings_keys SET wrapped = (SELECT wrapped FROM other_keys)')
  assert.throws(() => store.get('b'), code('SETTING_ALTERED'))
})

test('who asks for an encrypted value gets no plain one in its place', () => {
  const { db, store } = setUp()
  store.set('a', 'x', { encrypt: true })
  assert.equal(store.get('a', { encrypted: true }), 'x')
  db.exec("UPDATE walcast_settings SET data_key = NULL, value = 'planted'")
  assert.equal(store.get('a'), 'planted')
  assert.throws(() => store.get('a', { encrypted: true }), code('SETTING_ALTERED'))
  assert.equal(store.get('none', { encrypted: true }), undefined)
})

test('a plain value whose column has another kind is refused', () => {
  const { db, store } = setUp()
  store.set('a', { b: 1 })
  for (const sql of [
    "value = x'00'",
    'value = 1',
    "value = '{', type = 'json'",
    "type = 'bytes'",
  ]) {
    db.exec(`UPDATE walcast_settings SET type = 'json', value = '{}'`)
    db.exec(`UPDATE walcast_settings SET ${sql}`)
    assert.throws(() => store.get('a'), code('SETTING_ALTERED'), sql)
  }
})

test('without the key: plain settings work, encrypted ones say which key is missing', () => {
  const { db, kek, store } = setUp()
  store.set('a', 'x', { encrypt: true })
  store.set('b', 'y')
  for (const keys of [undefined, Keyring.of([]), Keyring.of([newKek()])]) {
    const other = settings(db, keys)
    assert.equal(other.get('b'), 'y')
    assert.equal(other.list().length, 2)
    assert.throws(() => other.get('a'), { ...code('SETTING_KEY_UNKNOWN'), message: RegExp(kek.id) })
    other.set('b', 'y')
  }
  const none = settings(open())
  assert.throws(() => none.set('a', 'x', { encrypt: true }), code('NO_ENCRYPTION_KEY'))
  assert.deepEqual(none.rotate(), { dataKeys: 0, values: 0 })
  none.set('a', 'x')
  assert.throws(() => none.rotate(), code('NO_ENCRYPTION_KEY'))
  db.exec('DELETE FROM walcast_settings_keys')
  assert.throws(() => store.get('a'), code('SETTING_KEY_UNKNOWN'))
})

const later = (kek: Kek, seconds: number): Kek => ({
  ...kek,
  createdAt: new Date(Date.parse(String(kek.createdAt)) + 1000 * seconds).toISOString(),
})

test('a new key-encryption key: old values open, new ones use it, rotation frees the old', () => {
  const { db, kek, store } = setUp()
  store.set('old', 'x', { encrypt: true })
  const next = later(newKek(), 60)
  const both = settings(db, Keyring.of([next, kek]))
  assert.equal(both.get('old'), 'x')
  both.set('new', 'y', { encrypt: true })
  assert.deepEqual(
    both.list().map(({ name, kek: by }) => [name, by]),
    [
      ['new', next.id],
      ['old', kek.id],
    ],
  )
  const before = db.prepare("SELECT value FROM walcast_settings WHERE name = 'old'").pluck()
  const value = before.get()
  assert.deepEqual(both.rotate(), { dataKeys: 1, values: 0 })
  assert.deepEqual(before.get(), value, 'no value is written again')
  const alone = settings(db, Keyring.of([next]))
  assert.deepEqual([alone.get('old'), alone.get('new')], ['x', 'y'])
  assert.deepEqual(alone.rotate(), { dataKeys: 0, values: 0 })
})

test('rotating the values encrypts each under one new data key, and the old keys are gone', () => {
  const { db, kek, store } = setUp()
  for (let i = 0; i < 250; i++) store.set(`s${i}`, `v${i}`, { encrypt: i % 5 > 0 })
  const keysOf = () => db.prepare('SELECT id FROM walcast_settings_keys').pluck().all()
  const changed = () =>
    db.prepare('SELECT name, changed_at FROM walcast_settings ORDER BY name').raw().all()
  const [old, times] = [keysOf(), changed()]
  assert.deepEqual(store.rotate({ values: true }), { dataKeys: 0, values: 200 })
  assert.equal(keysOf().length, 1)
  assert.notDeepEqual(keysOf(), old)
  assert.deepEqual(changed(), times, 'who rotates changes no setting')
  const other = anew(db, Keyring.of([kek]))
  for (let i = 0; i < 250; i++) assert.equal(other.get(`s${i}`), `v${i}`)
})

test('a rotation that meets a value it cannot read changes nothing', () => {
  const { db, keys, store } = setUp()
  for (const name of ['a', 'b', 'c']) store.set(name, name, { encrypt: true })
  db.exec("UPDATE walcast_settings SET value = zeroblob(40) WHERE name = 'c'")
  const state = () =>
    db.prepare('SELECT * FROM walcast_settings, walcast_settings_keys').raw().all()
  const before = state()
  assert.throws(() => store.rotate({ values: true }), code('SETTING_ALTERED'))
  assert.deepEqual(state(), before)
  assert.equal(settings(db, keys).get('a'), 'a')
})

test('an old data key is followed by a new one, and goes when nothing needs it', () => {
  const { db, keys, store } = setUp()
  store.set('a', 'x', { encrypt: true })
  store.set('b', 'x', { encrypt: true })
  const count = db.prepare('SELECT count(*) FROM walcast_settings_keys').pluck()
  assert.equal(count.get(), 1)
  const counts = ['b', 'a', 'b', 'a'].map((name) => {
    db.exec("UPDATE walcast_settings_keys SET created_at = '2001-01-01T00:00:00.000Z'")
    store.set(name, 'x', { encrypt: true })
    return count.get()
  })
  assert.deepEqual(counts, [2, 3, 3, 3])
  const other = settings(db, keys)
  assert.deepEqual([other.get('a'), other.get('b')], ['x', 'x'])
})

test('a change by another connection, and by this one past the settings, is seen at once', () => {
  const { db, keys, store } = setUp()
  const other = anew(db, keys)
  store.set('a', '1')
  assert.equal(store.get('a'), '1')
  assert.equal(store.get('b'), undefined)
  other.set('a', '2', { encrypt: true })
  other.set('b', '2')
  assert.deepEqual([store.get('a'), store.get('b')], ['2', '2'])
  db.exec("UPDATE walcast_settings SET value = '3', data_key = NULL, type = 'text'")
  assert.deepEqual([store.get('a'), store.get('b')], ['3', '3'])
  other.delete('a')
  assert.equal(store.get('a'), undefined)
})

test('what is in memory is not read again while the database stands still', () => {
  const { db, keys } = setUp()
  settings(db, keys).set('a', 'x', { encrypt: true })
  const store = anew(db, keys)
  let reads = 0
  const counting = new Proxy(keys, {
    get: (target, key) => {
      if (key === 'find') reads++
      const value = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const watched = settings(db, counting)
  for (let i = 0; i < 5; i++) assert.equal(watched.get('a'), 'x')
  assert.equal(reads, 1)
  assert.equal(store.get('a'), 'x')
})

test('the cache holds as many entries as it may', () => {
  const { db, keys } = setUp()
  for (const maxCachedEntries of [0, 1, 3]) {
    const store = settings(db, keys, { maxCachedEntries })
    for (let i = 0; i < 10; i++) store.set(`s${i}`, i)
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 10; i++) assert.equal(store.get(`s${i}`), i)
  }
})

test('in a transaction of the application: seen at once, and gone with a rollback', () => {
  const { db, keys, store } = setUp()
  const failing = db.transaction((encrypt: boolean) => {
    store.set('a', 'uncommitted', { encrypt })
    assert.equal(store.get('a'), 'uncommitted')
    throw new Error('taken back')
  })
  // The first also takes back the tables and the data key.
  for (const encrypt of [true, false, true]) {
    assert.throws(() => failing(encrypt), /taken back/)
    assert.equal(store.get('a'), undefined)
  }
  store.set('a', 'committed', { encrypt: true })
  assert.equal(store.get('a'), 'committed')
  assert.throws(() => failing(true), /taken back/)
  assert.equal(store.get('a'), 'committed')
  const other = anew(db, keys)
  const working = db.transaction(() => {
    store.set('a', 'later', { encrypt: true })
    assert.equal(other.get('a'), 'committed', 'others see it once it is committed')
  })
  working.immediate()
  assert.equal(other.get('a'), 'later')
})

test('a data key that was rolled back encrypts nothing', () => {
  const { db, keys, store } = setUp()
  db.exec('BEGIN IMMEDIATE')
  store.set('a', 'x', { encrypt: true })
  db.exec('ROLLBACK')
  store.set('a', 'y', { encrypt: true })
  assert.equal(anew(db, keys).get('a'), 'y')
})

test('several settings are written together or not at all', () => {
  const { store } = setUp()
  assert.throws(
    () =>
      store.setAll(
        [
          ['a', 'x'],
          ['b\n', 'x'],
        ],
        { encrypt: true },
      ),
    code('SETTING_REFUSED'),
  )
  assert.equal(store.get('a'), undefined)
  store.setAll(Object.entries({ a: 1, b: [2] }), { encrypt: true })
  assert.deepEqual([store.get('a'), store.get('b')], [1, [2]])
})

test('a table of the application with that name is never touched', () => {
  for (const [table, sql] of [
    ['walcast_settings', 'CREATE TABLE walcast_settings (name TEXT PRIMARY KEY, value)'],
    ['walcast_settings_keys', 'CREATE TABLE walcast_settings_keys (id)'],
    ['walcast_settings', "CREATE VIEW walcast_settings AS SELECT 'a' AS name"],
  ]) {
    const { db, store } = setUp()
    db.exec(sql)
    for (const call of [
      () => store.get('a'),
      () => store.set('a', 'x'),
      () => store.list(),
      () => store.delete('a'),
      () => store.rotate(),
    ])
      assert.throws(call, { ...code('SETTINGS_TABLE_FOREIGN'), message: RegExp(`${table} of`) })
    assert.equal(
      db.prepare('SELECT count(*) FROM sqlite_schema WHERE sql IS NOT NULL').pluck().get(),
      1,
    )
    settings(db, undefined, { table: 'app_settings' }).set('a', 'x')
  }
})

test('a table that the application changes later is noticed', () => {
  const { db, store } = setUp()
  store.set('a', 'x')
  assert.equal(store.get('a'), 'x')
  db.exec('ALTER TABLE walcast_settings RENAME COLUMN value TO content')
  store.clear()
  assert.throws(() => store.get('a'), code('SETTINGS_TABLE_FOREIGN'))
  db.exec('DROP TABLE walcast_settings')
  assert.equal(store.get('a'), undefined)
})

test('a database that keeps text as UTF-16', () => {
  const db = new Database(join(root, `${++made}.db`))
  opened.push(db)
  db.pragma("encoding = 'UTF-16le'")
  const keys = Keyring.of([newKek()])
  const store = settings(db, keys)
  store.setAll([
    ['ä', 'ü😀'],
    ['json', { ä: 'ü' }],
  ])
  store.set('geheim', 'ü😀', { encrypt: true })
  const other = anew(db, keys)
  assert.deepEqual([other.get('ä'), other.get('geheim')], ['ü😀', 'ü😀'])
  assert.deepEqual(other.get('json'), { ä: 'ü' })
  assert.deepEqual(
    other.list().map(({ bytes }) => bytes),
    [6, 11, 6],
  )
})

test('SQLite refuses as it does any write', () => {
  const { db, store } = setUp()
  store.set('a', 'x')
  db.pragma('query_only = 1')
  assert.throws(() => store.set('a', 'y'), { code: 'SQLITE_READONLY' })
  assert.throws(() => store.delete('a'), { code: 'SQLITE_READONLY' })
  assert.equal(store.get('a'), 'x')
  db.pragma('query_only = 0')
  const busy = open(db.name)
  busy.exec('BEGIN IMMEDIATE')
  db.pragma('busy_timeout = 0')
  assert.throws(() => store.set('a', 'y'), { code: 'SQLITE_BUSY' })
  busy.exec('ROLLBACK')
})

test('in memory', () => {
  const db = new Database(':memory:')
  opened.push(db)
  const store = settings(db, Keyring.of([newKek()]))
  store.set('a', 'x', { encrypt: true })
  assert.equal(store.get('a'), 'x')
})
