/**
 * Sealed values: AES-256-GCM (NIST SP 800-38D) under a random nonce. A sealed value is the nonce
 * (12 bytes), the ciphertext (as long as the value) and the tag (16 bytes).
 *
 * The tag covers a context too: text that says what the value is and where it stands. A value that
 * was moved to another place does not open there.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

export const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** How much longer a sealed value is than the value. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES
const CIPHER = 'aes-256-gcm'

export function newKey(): Buffer {
  return randomBytes(KEY_BYTES)
}

/**
 * `key`: 32 bytes. Random nonces are safe for 2^32 values under one key (SP 800-38D, 8.3): whoever
 * holds the key takes another one long before.
 */
export function seal(key: Buffer, value: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context, 'utf8'))
  const ciphertext = cipher.update(value)
  cipher.final()
  return Buffer.concat([nonce, ciphertext, cipher.getAuthTag()])
}

/** Undefined when a byte was changed, or when key or context are others. */
export function unseal(key: Buffer, sealed: Uint8Array, context: string): Buffer | undefined {
  if (sealed.length < SEAL_BYTES) return undefined
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const tag = sealed.subarray(sealed.length - TAG_BYTES)
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context, 'utf8'))
  decipher.setAuthTag(tag)
  const value = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES))
  try {
    decipher.final()
    return value
  } catch {
    // The tag is another one.
    return undefined
  }
}
