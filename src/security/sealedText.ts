/**
 * Text that only who knows a key can read or make: AES-256-GCM, with a random nonce each time. It
 * is bound to a context, which is not sent: sealed for one purpose or as the answer to one
 * question, it opens for no other.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** `key`: 32 bytes. Gives base64. */
export function sealText(key: Uint8Array, context: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64')
}

/** Undefined when it was sealed with another key or in another context, or changed on the way. */
export function openText(key: Uint8Array, context: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
  const [nonce, tag] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(-TAG_BYTES)]
  try {
    const cipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(Buffer.from(context)).setAuthTag(tag)
    const text = cipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([text, cipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
