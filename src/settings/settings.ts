/**
 * Small settings in an application's database, so that they are wherever the database is: sessions,
 * API tokens, password hashes. They are replicated as everything else in it, and a failover keeps
 * them. Values are plain, or encrypted under keys that are not in the database.
 *
 * All calls are synchronous and use the application's own handle, also within a transaction of the
 * application. Nothing here goes through a node.
 */
import type Database from 'better-sqlite3'
import { WalcastError } from '../errors.ts'
import { wallMs } from '../platform/time.ts'
import type { Keyring } from '../security/keyring.ts'
import { DataKeys } from './dataKeys.ts'
import { LeaderOnly } from './leaderOnly.ts'
import { infoOf, type SettingInfo } from './settingInfo.ts'
import { SettingsCache } from './settingsCache.ts'
import { type SettingRow, SettingsTable } from './settingsTable.ts'
import {
  altered,
  decode,
  type EncodedValue,
  encode,
  isSettingType,
  requireName,
  type SettingType,
  type SettingValue,
} from './settingValue.ts'

export type { SettingInfo } from './settingInfo.ts'
export type { JsonValue, SettingType, SettingValue } from './settingValue.ts'

export interface SettingsOptions {
  /** Up to 60 small letters, digits and `_`; `walcast_settings` unless given. */
  readonly table?: string
  /** Longest name in UTF-8; 256 unless given. */
  readonly maxNameBytes?: number
  /** Largest value that is written, and that is kept in memory; 65536 unless given. */
  readonly maxValueBytes?: number
  /** Values kept in memory; 1000 unless given. */
  readonly maxCachedEntries?: number
  /** New values get a new data key after so many days; 30 unless given. */
  readonly maxDataKeyDays?: number
}

export interface Rotation {
  /** Data keys that the latest key-encryption key now wraps. */
  readonly dataKeys: number
  /** Values that a new data key now encrypts. */
  readonly values: number
}

const DEFAULTS: Required<SettingsOptions> = {
  table: 'walcast_settings',
  maxNameBytes: 256,
  maxValueBytes: 65_536,
  maxCachedEntries: 1000,
  maxDataKeyDays: 30,
}
const ROTATED_AT_ONCE = 100
const NO_LIMIT = -1
const MISSING = Symbol('missing')

interface Read {
  readonly value: SettingValue | typeof MISSING
  readonly encrypted: boolean
  readonly bytes: number
}

const NOTHING: Read = { value: MISSING, encrypted: false, bytes: 0 }

/**
 * The settings in the database of `db`. Without a keyring only plain ones can be read and written.
 * Throws BAD_REQUEST.
 */
export function settings(
  db: Database.Database,
  keyring?: Keyring,
  options: SettingsOptions = {},
): Settings {
  return new Settings(db, keyring, options)
}

export class Settings {
  readonly #db: Database.Database
  readonly #bounds: Required<SettingsOptions>
  readonly #table: SettingsTable
  readonly #keys: DataKeys
  readonly #cache: SettingsCache<Read>
  readonly #leaderOnly: LeaderOnly | undefined

  constructor(db: Database.Database, keyring: Keyring | undefined, options: SettingsOptions) {
    this.#db = db
    this.#bounds = boundsOf(options)
    this.#table = new SettingsTable(db, this.#bounds.table)
    this.#keys = new DataKeys(this.#table, keyring, this.#bounds.maxDataKeyDays)
    this.#cache = new SettingsCache(db, this.#bounds.maxCachedEntries)
    this.#leaderOnly = db.memory ? undefined : new LeaderOnly(db.name)
  }

  /**
   * The value, or undefined when there is none of that name. Text is a string, bytes are a Buffer,
   * JSON is frozen. `encrypted` refuses a plain value, which anyone who can write to the database
   * could have put there. Throws SETTING_KEY_UNKNOWN, SETTING_ALTERED, SETTINGS_TABLE_FOREIGN,
   * KEYRING_UNREADABLE or SECRET_SHARED.
   */
  get(
    name: string,
    { encrypted = false }: { readonly encrypted?: boolean } = {},
  ): SettingValue | undefined {
    const found = this.#cache.get(
      name,
      () => this.#read(name),
      ({ bytes }) =>
        bytes <= this.#bounds.maxValueBytes && name.length <= this.#bounds.maxNameBytes,
    )
    if (found.value === MISSING) return undefined
    if (encrypted && !found.encrypted) throw altered(name, 'it is not encrypted')
    return found.value instanceof Uint8Array ? Buffer.from(found.value) : found.value
  }

  /**
   * Writes a value over any that is there. Throws SETTING_REFUSED, SETTING_ON_REPLICA,
   * SETTINGS_TABLE_FOREIGN, with `encrypt` also what `get` throws and NO_ENCRYPTION_KEY, and
   * SQLite's own errors.
   */
  set(
    name: string,
    value: SettingValue,
    { encrypt = false }: { readonly encrypt?: boolean } = {},
  ): void {
    this.setAll([[name, value]], { encrypt })
  }

  /** Writes all of them in one transaction. Throws as `set` does: none is written then. */
  setAll(
    entries: Iterable<readonly [name: string, value: SettingValue]>,
    { encrypt = false }: { readonly encrypt?: boolean } = {},
  ): void {
    const encoded = [...entries].map(([name, value]) => {
      requireName(name, this.#bounds)
      return [name, encode(name, value, this.#bounds)] as const
    })
    this.#write(() => {
      for (const [name, value] of encoded) this.#put(name, value, encrypt)
    })
  }

  /** Whether there was one. Throws SETTING_ON_REPLICA, SETTINGS_TABLE_FOREIGN, SQLite's errors. */
  delete(name: string): boolean {
    this.requireWritable()
    return this.#table.isThere() && this.#table.delete(name)
  }

  /** One setting without its value; undefined when there is none. Throws SETTINGS_TABLE_FOREIGN. */
  info(name: string): SettingInfo | undefined {
    const row = this.#table.find(name)
    return row && infoOf(row)
  }

  /**
   * Settings in the order of their names (by bytes), without their values: those whose name begins
   * with `prefix`, from after the name `after` on, at most `limit`. Throws SETTINGS_TABLE_FOREIGN.
   */
  list({
    prefix = '',
    after = '',
    limit = NO_LIMIT,
  }: {
    readonly prefix?: string
    readonly after?: string
    readonly limit?: number
  } = {}): SettingInfo[] {
    if (!this.#table.isThere()) return []
    return [...this.#table.each(prefix, after, limit)].map(infoOf)
  }

  /**
   * Wraps the data keys by the latest key-encryption key; with `values` also encrypts every value
   * under a new data key. All in one transaction: nothing has changed when it throws. Throws what
   * `get` and `set` throw.
   */
  rotate({ values = false }: { readonly values?: boolean } = {}): Rotation {
    this.requireWritable()
    if (!this.#table.isThere()) return { dataKeys: 0, values: 0 }
    return this.#write(() => {
      // First the values: the data keys that are left then encrypt nothing, and are deleted.
      const moved = values ? this.#moveValues() : 0
      return { values: moved, dataKeys: this.#keys.wrapAnew() }
    })
  }

  /** Throws SETTING_ON_REPLICA when the database is the copy of a replica. */
  requireWritable(): void {
    this.#leaderOnly?.require()
  }

  /** Forgets the values in memory. Only a schema change on this very handle needs it. */
  clear(): void {
    this.#cache.clear()
  }

  #read(name: string): Read {
    const row = this.#table.find(name)
    if (!row) return NOTHING
    const encoded = row.dataKey === null ? plainValue(row) : this.#keys.unseal(row)
    const value = decode(name, encoded)
    return { value, encrypted: row.dataKey !== null, bytes: encoded.content.length }
  }

  #put(name: string, encoded: EncodedValue, encrypt: boolean): void {
    const { type, content } = encoded
    const dataKey = encrypt ? this.#keys.current(name) : undefined
    this.#table.write({
      name,
      type,
      dataKey: dataKey?.id ?? null,
      value: dataKey ? this.#keys.seal(name, encoded, dataKey) : plainColumn(type, content),
      changedAt: new Date(wallMs()).toISOString(),
    })
  }

  /** Within a transaction of the application, a savepoint. */
  #write<Result>(work: () => Result): Result {
    this.requireWritable()
    const transaction = this.#db.transaction(() => {
      this.#table.create()
      return work()
    })
    return transaction.immediate()
  }

  #moveValues(): number {
    const dataKey = this.#keys.add()
    let moved = 0
    for (;;) {
      const rows = this.#table.underOtherKeys(dataKey.id, ROTATED_AT_ONCE)
      for (const row of rows) {
        const encoded = this.#keys.unseal(row)
        const value = this.#keys.seal(row.name, encoded, dataKey)
        this.#table.write({ ...row, type: encoded.type, dataKey: dataKey.id, value })
      }
      moved += rows.length
      if (rows.length < ROTATED_AT_ONCE) break
    }
    this.#table.deleteUnusedKeys()
    return moved
  }
}

/** Throws BAD_REQUEST. */
function boundsOf(options: SettingsOptions): Required<SettingsOptions> {
  const { table = DEFAULTS.table } = options
  const bounds = { ...DEFAULTS, table }
  for (const key of NUMBERS) {
    const value = options[key] ?? DEFAULTS[key]
    if (!Number.isSafeInteger(value) || value < 0)
      throw new WalcastError('BAD_REQUEST', { detail: `${key} wants a whole number` })
    bounds[key] = value
  }
  return bounds
}

const NUMBERS = ['maxNameBytes', 'maxValueBytes', 'maxCachedEntries', 'maxDataKeyDays'] as const

/** Text and JSON stand in the table as TEXT, so that SQL and people can read them. */
function plainColumn(type: SettingType, content: Buffer): string | Buffer {
  return type === 'bytes' ? content : content.toString('utf8')
}

function plainValue({ name, type, value }: SettingRow) {
  const isBytes = type === 'bytes'
  if (!isSettingType(type) || (isBytes ? !Buffer.isBuffer(value) : typeof value !== 'string'))
    throw altered(name, 'a column has a value of another kind')
  const content = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
  return { type, content }
}
