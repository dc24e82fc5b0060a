/**
 * What the header of an encrypted archive file says of its key: wrapped for each recipient, none of
 * whom needs another. ARCHIVE.md has the format.
 */

export interface WrappedKey {
  /** Short id of the recipient, 16 hex digits. */
  readonly recipient: string
  /** The file key as this recipient opens it: 48 bytes, 96 hex digits. */
  readonly key: string
}

export interface ArchiveSeal {
  /** X25519 public key that was made for this file alone: 32 bytes, 64 hex digits. */
  readonly ephemeral: string
  /** One for each recipient. */
  readonly keys: readonly WrappedKey[]
}

/** A header names at most as many, and costs one key agreement for each. */
export const MAX_RECIPIENTS = 32

/** Whether a value of JSON is a seal, with these fields and no others. */
export function isArchiveSeal(value: unknown): value is ArchiveSeal {
  const { ephemeral, keys } = Object(value)
  return (
    hasFields(value, 2) &&
    isHex(ephemeral, 64) &&
    Array.isArray(keys) &&
    keys.length > 0 &&
    keys.length <= MAX_RECIPIENTS &&
    keys.every(isWrappedKey)
  )
}

function isWrappedKey(value: unknown): value is WrappedKey {
  const { recipient, key } = Object(value)
  return hasFields(value, 2) && isHex(recipient, 16) && isHex(key, 96)
}

function hasFields(value: unknown, count: number): boolean {
  return Object.keys(Object(value)).length === count
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value)
}
