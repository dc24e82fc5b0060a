/** What is told of a setting without its value. */
import { SEAL_BYTES } from '../security/valueEncryption.ts'
import type { SettingRow } from './settingsTable.ts'
import { isSettingType, type SettingType } from './settingValue.ts'

export interface SettingInfo {
  readonly name: string
  readonly type: SettingType
  /** Of the value before encryption. */
  readonly bytes: number
  readonly encrypted: boolean
  /** Id of the data key; undefined when the value is plain. */
  readonly dataKey: string | undefined
  /** Id of the key-encryption key that wraps the data key. */
  readonly kek: string | undefined
  /** ISO 8601, in the clock of who wrote it. */
  readonly changedAt: string
}

export function infoOf(row: SettingRow): SettingInfo {
  const { name, type, value, dataKey, kek, changedAt } = row
  const bytes = Buffer.isBuffer(value) ? value.length : Buffer.byteLength(String(value))
  return {
    name,
    type: isSettingType(type) ? type : 'bytes',
    bytes: dataKey === null ? bytes : Math.max(0, bytes - SEAL_BYTES),
    encrypted: dataKey !== null,
    dataKey: dataKey ?? undefined,
    kek: kek ?? undefined,
    changedAt,
  }
}
