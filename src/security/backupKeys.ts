/**
 * The key pairs of encrypted archives. A recipient is a public key: a node writes for it, and reads
 * nothing with it. An identity is the private key, which belongs on no node.
 *
 * Both are words that a person copies: a prefix and, in base32, version 1 | key 32 | checksum 4.
 * The checksum covers the prefix as well, and tells a typing error. It proves nothing.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'
import { fromBase32, MISTYPED, toBase32 } from './base32.ts'
import { agree, privateBytes, privateKeyOf, publicBytes, X25519_BYTES } from './x25519.ts'

export interface BackupRecipient {
  /** X25519 public key, 32 bytes. */
  readonly key: Buffer
  /** Names the key in files and errors: 16 hex digits. */
  readonly id: string
}

export interface BackupIdentity {
  readonly privateKey: KeyObject
  readonly recipient: BackupRecipient
}

const RECIPIENT = 'walcast-recipient-'
const IDENTITY = 'walcast-identity-'
const VERSION = 1
const CHECKSUM_BYTES = 4
const WORD_BYTES = 1 + X25519_BYTES + CHECKSUM_BYTES
const ID_BYTES = 8
/** Any private key: what it agrees on with a public key of low order is zeros. */
const PROBE = privateKeyOf(Buffer.alloc(X25519_BYTES, 1))

export function newIdentity(): BackupIdentity {
  return identityOf(randomBytes(X25519_BYTES))
}

export function formatRecipient({ key }: BackupRecipient): string {
  return formatWord(RECIPIENT, key)
}

/** The secret itself: for the file that only its owner reads. */
export function formatIdentity({ privateKey }: BackupIdentity): string {
  return formatWord(IDENTITY, privateBytes(privateKey))
}

/** Throws an Error that says what is wrong, and never quotes the text. */
export function parseRecipient(text: string): BackupRecipient {
  if (isWord(text, IDENTITY))
    throw new Error(
      'it is an identity, which is secret: give nodes the recipient that belongs to it',
    )
  const key = parseWord(RECIPIENT, text)
  if (!agree(PROBE, key)) throw new Error('it is no key: everybody could open what it seals')
  return recipientOf(key)
}

/** Throws an Error that says what is wrong, and never quotes the text. */
export function parseIdentity(text: string): BackupIdentity {
  if (isWord(text, RECIPIENT)) throw new Error('it is a recipient, which opens nothing')
  return identityOf(parseWord(IDENTITY, text))
}

function recipientOf(key: Buffer): BackupRecipient {
  const hash = createHash('sha256').update('walcast archive recipient 1\0').update(key).digest()
  return { key, id: hash.toString('hex', 0, ID_BYTES) }
}

function identityOf(bytes: Buffer): BackupIdentity {
  const privateKey = privateKeyOf(bytes)
  return { privateKey, recipient: recipientOf(publicBytes(privateKey)) }
}

function isWord(text: string, prefix: string): boolean {
  return text.slice(0, prefix.length).toLowerCase() === prefix
}

function formatWord(prefix: string, key: Buffer): string {
  const body = Buffer.concat([Buffer.of(VERSION), key])
  const bytes = Buffer.concat([body, checksum(prefix, body)])
  return `${prefix}${toBase32(bytes).toLowerCase()}`
}

function parseWord(prefix: string, text: string): Buffer {
  if (!isWord(text, prefix)) throw new Error(`it does not begin with ${prefix}`)
  const bytes = fromBase32(text.slice(prefix.length), WORD_BYTES)
  if (bytes.length < WORD_BYTES) throw new Error('it is too short: a part of it is missing')
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  if (!checksum(prefix, body).equals(bytes.subarray(-CHECKSUM_BYTES))) throw new Error(MISTYPED)
  if (body[0] !== VERSION)
    throw new Error(`it has version ${body[0]}, and this program reads ${VERSION}: update it`)
  return body.subarray(1)
}

function checksum(prefix: string, body: Uint8Array): Buffer {
  return createHash('sha256').update(prefix).update(body).digest().subarray(0, CHECKSUM_BYTES)
}
