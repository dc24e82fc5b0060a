/**
 * The two tables of settings in an application's database: `NAME` holds the settings, `NAME_keys`
 * the wrapped data keys. The first write makes them. docs/application/settings.md describes the
 * format for programs in other languages.
 *
 * All SQL of settings is here. Nothing here encrypts or decrypts.
 */
import type Database from 'better-sqlite3'
import { WalcastError } from '../errors.ts'
import type { SettingType } from './settingValue.ts'

/** A row of settings, with the data key that its value is encrypted under. */
export interface SettingRow {
  readonly name: string
  readonly type: unknown
  readonly value: unknown
  /** Id of the data key; null when the value is plain. */
  readonly dataKey: string | null
  /** Of the data key; null when there is none, or when its row is missing. */
  readonly kek: string | null
  readonly wrapped: unknown
  readonly changedAt: string
}

export interface KeyRow {
  readonly id: string
  readonly kek: string
  readonly wrapped: Buffer
  /** ISO 8601. */
  readonly createdAt: string
}

export interface WrittenRow {
  readonly name: string
  readonly type: SettingType
  readonly value: string | Buffer
  readonly dataKey: string | null
  readonly changedAt: string
}

/** The columns as `PRAGMA table_info` tells them: name, type, NOT NULL, primary key. */
const SETTING_COLUMNS = [
  'name TEXT 1 1',
  'type TEXT 1 0',
  'data_key TEXT 0 0',
  'value BLOB 1 0',
  'changed_at TEXT 1 0',
]
const KEY_COLUMNS = [
  'number INTEGER 0 1',
  'id TEXT 1 0',
  'kek TEXT 1 0',
  'wrapped BLOB 1 0',
  'created_at TEXT 1 0',
]
/** SQLite does not tell names apart by case, and the name goes into what is authenticated. */
const TABLE_NAME = /^(?!sqlite_)[a-z_][a-z0-9_]{0,59}$/

type Statement = Database.Statement<unknown[], unknown>

export class SettingsTable {
  readonly name: string
  readonly #db: Database.Database
  readonly #statements = new Map<string, Statement>()
  /** Whether both tables were there when they were last looked for. */
  #isKnown = false

  /** Touches nothing. Throws BAD_REQUEST. */
  constructor(db: Database.Database, name: string) {
    if (!TABLE_NAME.test(name))
      throw new WalcastError('BAD_REQUEST', {
        detail: 'the name of a table of settings has up to 60 small letters, digits and _',
      })
    this.#db = db
    this.name = name
  }

  /** Within a transaction. Throws SETTINGS_TABLE_FOREIGN. */
  create(): void {
    if (this.isThere()) return
    this.#db.exec(
      `CREATE TABLE IF NOT EXISTS main."${this.name}" (
  name TEXT PRIMARY KEY NOT NULL,
  type TEXT NOT NULL,
  data_key TEXT,
  value BLOB NOT NULL,
  changed_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS main."${this.name}_keys" (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kek TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  created_at TEXT NOT NULL
)`,
    )
    this.isThere()
  }

  /** Whether both tables exist. Throws SETTINGS_TABLE_FOREIGN when one is not a table of ours. */
  isThere(): boolean {
    const found = [
      this.#isThere(this.name, SETTING_COLUMNS),
      this.#isThere(`${this.name}_keys`, KEY_COLUMNS),
    ]
    this.#isKnown = found.every(Boolean)
    return this.#isKnown
  }

  /** Undefined also without tables. Throws SETTINGS_TABLE_FOREIGN. */
  find(name: string): SettingRow | undefined {
    if (!this.#isKnown && !this.isThere()) return undefined
    try {
      return this.#sql(`${this.#select()} WHERE s.name = ?`).get(name) as SettingRow | undefined
    } catch (error) {
      // A rollback may have taken the tables away, or the application has changed them.
      if (this.isThere()) throw error
      return undefined
    }
  }

  /** In the order of their names, from after `after` on. */
  each(prefix: string, after: string, limit: number): IterableIterator<SettingRow> {
    const sql = `${this.#select()}
WHERE s.name > ? AND substr(s.name, 1, length(?)) = ? ORDER BY s.name LIMIT ?`
    return this.#sql(sql).iterate(after, prefix, prefix, limit) as IterableIterator<SettingRow>
  }

  /** The next settings that are encrypted under another data key than `id`. */
  underOtherKeys(id: string, limit: number): SettingRow[] {
    const sql = `${this.#select()} WHERE s.data_key <> ? LIMIT ?`
    return this.#sql(sql).all(id, limit) as SettingRow[]
  }

  write({ name, type, dataKey, value, changedAt }: WrittenRow): void {
    this.#sql(
      `INSERT INTO main."${this.name}" (name, type, data_key, value, changed_at)
VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET type = excluded.type,
data_key = excluded.data_key, value = excluded.value, changed_at = excluded.changed_at`,
    ).run(name, type, dataKey, value, changedAt)
  }

  /** Whether there was one. */
  delete(name: string): boolean {
    return this.#sql(`DELETE FROM main."${this.name}" WHERE name = ?`).run(name).changes > 0
  }

  latestKey(): KeyRow | undefined {
    return this.#keys('ORDER BY number DESC LIMIT 1')[0]
  }

  keysUnderOtherKeks(kek: string): KeyRow[] {
    return this.#keys('WHERE kek <> ?', kek)
  }

  addKey({ id, kek, wrapped, createdAt }: KeyRow): void {
    this.#sql(
      `INSERT INTO main."${this.name}_keys" (id, kek, wrapped, created_at) VALUES (?, ?, ?, ?)`,
    ).run(id, kek, wrapped, createdAt)
  }

  wrapKeyAnew({ id, kek, wrapped }: KeyRow): void {
    this.#sql(`UPDATE main."${this.name}_keys" SET kek = ?, wrapped = ? WHERE id = ?`).run(
      kek,
      wrapped,
      id,
    )
  }

  /** Deletes the data keys that encrypt nothing, save the latest. */
  deleteUnusedKeys(): void {
    this.#sql(
      `DELETE FROM main."${this.name}_keys"
WHERE number < (SELECT max(number) FROM main."${this.name}_keys")
AND id NOT IN (SELECT data_key FROM main."${this.name}" WHERE data_key IS NOT NULL)`,
    ).run()
  }

  #select(): string {
    return `SELECT s.name, s.type, s.value, s.data_key AS dataKey, s.changed_at AS changedAt,
k.kek, k.wrapped FROM main."${this.name}" s
LEFT JOIN main."${this.name}_keys" k ON k.id = s.data_key`
  }

  #keys(rest: string, ...values: readonly string[]): KeyRow[] {
    const columns = 'id, kek, wrapped, created_at AS createdAt'
    const sql = `SELECT ${columns} FROM main."${this.name}_keys" ${rest}`
    return this.#sql(sql).all(...values) as KeyRow[]
  }

  #isThere(table: string, columns: readonly string[]): boolean {
    const sql = `SELECT name || ' ' || type || ' ' || "notnull" || ' ' || pk AS col
FROM pragma_table_info(?, 'main')`
    const found = (this.#sql(sql).all(table) as { col: string }[]).map(({ col }) => col)
    if (found.length === 0) return false
    if (found.join() === columns.join()) return true
    const has = found.map((column) => column.split(' ')[0]).join(', ')
    const wanted = columns.map((column) => column.split(' ')[0]).join(', ')
    const detail = `its columns are ${has}, and not ${wanted} as they are made here`
    throw new WalcastError('SETTINGS_TABLE_FOREIGN', { table, path: this.#db.name, detail })
  }

  #sql(text: string): Statement {
    const known = this.#statements.get(text)
    if (known) return known
    const statement = this.#db.prepare<unknown[], unknown>(text)
    this.#statements.set(text, statement)
    return statement
  }
}
