/**
 * Data keys: random keys that encrypt values. They stand in the database, wrapped by a
 * key-encryption key that does not. So a new key-encryption key costs as much as there are data
 * keys, and no value is written again.
 *
 * What is authenticated with a value names its table, its type, its data key and its name. Nobody
 * without the keys can move a value to another name, or make text of bytes.
 */
import { WalcastError } from '../errors.ts'
import { randomBytes } from '../platform/random.ts'
import { wallMs } from '../platform/time.ts'
import type { KeyEncryptionKey, Keyring } from '../security/keyring.ts'
import { newKey, seal, unseal } from '../security/valueEncryption.ts'
import type { KeyRow, SettingRow, SettingsTable } from './settingsTable.ts'
import {
  altered,
  type EncodedValue,
  isSettingType,
  type SettingType,
  shownName,
} from './settingValue.ts'

/** A data key, ready for use. */
export interface DataKey {
  readonly id: string
  readonly key: Buffer
}

const MAX_UNWRAPPED = 100
const DAY_MS = 24 * 3_600_000

export class DataKeys {
  readonly #table: SettingsTable
  readonly #keyring: Keyring | undefined
  readonly #maxAgeMs: number
  /** By all that stands in the row: one that was rolled back or altered is never found here. */
  readonly #unwrapped = new Map<string, Buffer>()

  constructor(table: SettingsTable, keyring: Keyring | undefined, maxAgeDays: number) {
    this.#table = table
    this.#keyring = keyring
    this.#maxAgeMs = maxAgeDays * DAY_MS
  }

  /**
   * The data key for new values, within a transaction that writes. One that is too old, or wrapped
   * by an earlier key-encryption key, is followed by a new one. Throws NO_ENCRYPTION_KEY,
   * SETTING_KEY_UNKNOWN or SETTING_ALTERED.
   */
  current(name: string): DataKey {
    const kek = this.#latestKek()
    const row = this.#table.latestKey()
    if (!row) return this.add(kek)
    const key = this.#unwrap(row, name)
    const ageMs = wallMs() - Date.parse(row.createdAt)
    return row.kek === kek.id && !(ageMs > this.#maxAgeMs) ? { id: row.id, key } : this.add(kek)
  }

  /** A new data key, within a transaction that writes. Throws NO_ENCRYPTION_KEY. */
  add(kek = this.#latestKek()): DataKey {
    const made = { id: randomBytes(16).toString('hex'), key: newKey() }
    this.#table.addKey({
      id: made.id,
      kek: kek.id,
      wrapped: this.#wrap(made, kek),
      createdAt: new Date(wallMs()).toISOString(),
    })
    this.#table.deleteUnusedKeys()
    return made
  }

  /**
   * Wraps every data key by the latest key-encryption key, within a transaction that writes.
   * Returns how many. Throws as `current` does.
   */
  wrapAnew(): number {
    const kek = this.#latestKek()
    const rows = this.#table.keysUnderOtherKeks(kek.id)
    for (const row of rows) {
      const wrapped = this.#wrap({ id: row.id, key: this.#unwrap(row, '') }, kek)
      this.#table.wrapKeyAnew({ ...row, kek: kek.id, wrapped })
    }
    return rows.length
  }

  seal(name: string, { type, content }: EncodedValue, { id, key }: DataKey): Buffer {
    return seal(key, content, this.#valueContext(name, type, id))
  }

  /** The value of an encrypted row. Throws SETTING_KEY_UNKNOWN or SETTING_ALTERED. */
  unseal(row: SettingRow): EncodedValue {
    const { name, type, value, dataKey, kek, wrapped } = row
    if (dataKey === null || kek === null)
      throw new WalcastError('SETTING_KEY_UNKNOWN', {
        name: shownName(name),
        detail: `its data key ${shownName(String(dataKey))} is not in ${this.#table.name}_keys`,
      })
    if (!isSettingType(type) || !Buffer.isBuffer(value) || !Buffer.isBuffer(wrapped))
      throw altered(name, 'a column has a value of another kind')
    const key = this.#unwrap({ id: dataKey, kek, wrapped }, name)
    const content = unseal(key, value, this.#valueContext(name, type, dataKey))
    if (content) return { type, content }
    throw altered(name, 'its value was changed, or was encrypted for another setting')
  }

  /** `name`: of the setting that needs it, for errors. */
  #unwrap({ id, kek, wrapped }: Omit<KeyRow, 'createdAt'>, name: string): Buffer {
    const memo = `${id} ${kek} ${wrapped.toString('base64')}`
    const known = this.#unwrapped.get(memo)
    if (known) return known
    const outer = this.#keyring?.find(kek)
    if (!outer) throw this.#unknownKek(name, kek)
    const key = unseal(outer.key, wrapped, this.#keyContext(id, kek))
    if (!key) throw altered(name, `its data key ${shownName(id)} was changed`)
    if (this.#unwrapped.size >= MAX_UNWRAPPED) this.#unwrapped.clear()
    this.#unwrapped.set(memo, key)
    return key
  }

  #wrap({ id, key }: DataKey, kek: KeyEncryptionKey): Buffer {
    return seal(kek.key, key, this.#keyContext(id, kek.id))
  }

  #latestKek(): KeyEncryptionKey {
    const kek = this.#keyring?.latest()
    if (kek) return kek
    throw new WalcastError('NO_ENCRYPTION_KEY', { origin: this.#origin() })
  }

  #unknownKek(name: string, kek: string): WalcastError {
    const detail = `key-encryption key ${shownName(kek)} is not in ${this.#origin()}`
    return new WalcastError('SETTING_KEY_UNKNOWN', { name: shownName(name), detail })
  }

  #origin(): string {
    return this.#keyring?.origin ?? 'this program, which was given no keyring'
  }

  /** The name comes last: it is the only part that may hold anything. */
  #valueContext(name: string, type: SettingType, dataKey: string): string {
    return `walcast setting 1\n${this.#table.name}\n${type}\n${dataKey}\n${name}`
  }

  #keyContext(id: string, kek: string): string {
    return `walcast data key 1\n${this.#table.name}\n${kek}\n${id}`
  }
}
