/**
 * X25519 (RFC 7748) on raw keys of 32 bytes. A public key of low order gives the same secret with
 * every private key, and so is refused (RFC 7748, 6.1).
 */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'

export const X25519_BYTES = 32
/** What stands before the raw key in DER (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')

/** `bytes`: 32 of any values. */
export function privateKeyOf(bytes: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, bytes]), format: 'der', type: 'pkcs8' })
}

export function privateBytes(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' }).subarray(-X25519_BYTES)
}

/** The public key of a private one. */
export function publicBytes(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-X25519_BYTES)
}

/** The secret that both share; undefined for a public key of low order. */
export function agree(own: KeyObject, other: Uint8Array): Buffer | undefined {
  const key = Buffer.concat([SPKI, other])
  const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
  try {
    const secret = diffieHellman({ privateKey: own, publicKey })
    return secret.some((byte) => byte !== 0) ? secret : undefined
  } catch {
    // OpenSSL refuses a secret of zeros, and nothing else can fail here.
    return undefined
  }
}
