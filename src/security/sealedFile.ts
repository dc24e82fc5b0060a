/**
 * Files that only recipients read. Each file has a random key, which is wrapped for each recipient
 * as HPKE does it (RFC 9180): a key pair that is made for this file agrees with the recipient's,
 * HKDF-SHA256 makes a key of the shared secret and both public keys, and AES-256-GCM wraps the file
 * key with it. The writer forgets the pair, and opens what it wrote while it holds the file key.
 *
 * The parts of a file are sealed one by one, with AES-256-GCM. Their key is derived from the file
 * key and the whole header, and the nonce is the place of the part. So no part opens at another
 * place, in another file or under another header.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { type ArchiveSeal, MAX_RECIPIENTS } from '../../proto/archiveSeal.ts'
import { randomBytes } from '../platform/random.ts'
import type { BackupIdentity, BackupRecipient } from './backupKeys.ts'
import { agree, privateKeyOf, publicBytes, X25519_BYTES } from './x25519.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** A key that wraps is used once. */
const WRAP_NONCE = Buffer.alloc(NONCE_BYTES)
const WRAP_INFO = Buffer.from('walcast archive 1 wrap\0')
const PARTS_INFO = Buffer.from('walcast archive 1 parts\0')
const BLOCK = 1
const INDEX = 2

/** The number of a block, from 0, or the index. */
export type SealedPart = number | 'index'

/** A new file key, and what the header says of it. `recipients`: 1 to MAX_RECIPIENTS. */
export function newFileKey(recipients: readonly BackupRecipient[]): {
  readonly fileKey: Buffer
  readonly seal: ArchiveSeal
} {
  if (recipients.length === 0 || recipients.length > MAX_RECIPIENTS)
    throw new RangeError(`${recipients.length} recipients`)
  const fileKey = randomBytes(KEY_BYTES)
  const pair = privateKeyOf(randomBytes(X25519_BYTES))
  const ephemeral = publicBytes(pair)
  const keys = recipients.map(({ id, key }) => {
    const shared = agree(pair, key)
    if (!shared) throw new RangeError(`recipient ${id} is no key`)
    const wrapped = sealGcm(wrapKeyOf(shared, ephemeral, key), WRAP_NONCE, fileKey)
    return { recipient: id, key: wrapped.toString('hex') }
  })
  return { fileKey, seal: { ephemeral: ephemeral.toString('hex'), keys } }
}

/**
 * The file key. 'none' when it is not wrapped for this identity, 'broken' when it is and does not
 * open: the header was changed.
 */
export function fileKeyOf(
  { ephemeral, keys }: ArchiveSeal,
  { privateKey, recipient }: BackupIdentity,
): Buffer | 'none' | 'broken' {
  const wrapped = keys.find((key) => key.recipient === recipient.id)
  if (!wrapped) return 'none'
  const other = Buffer.from(ephemeral, 'hex')
  const shared = agree(privateKey, other)
  if (!shared) return 'broken'
  const key = wrapKeyOf(shared, other, recipient.key)
  return openGcm(key, WRAP_NONCE, Buffer.from(wrapped.key, 'hex')) ?? 'broken'
}

/** Seals and opens the parts of one file. A part is sealed once: its nonce is its place. */
export class PartSeal {
  readonly #key: Buffer

  /** `header`: all its bytes, with the seal. */
  constructor(fileKey: Buffer, header: Uint8Array) {
    const hash = createHash('sha256').update(header).digest()
    this.#key = derived(fileKey, Buffer.concat([PARTS_INFO, hash]))
  }

  /** 16 bytes longer. */
  seal(part: SealedPart, bytes: Uint8Array): Buffer {
    return sealGcm(this.#key, nonceOf(part), bytes)
  }

  /** Undefined when it is not what was sealed at this place of this file. */
  open(part: SealedPart, sealed: Uint8Array): Buffer | undefined {
    return openGcm(this.#key, nonceOf(part), sealed)
  }
}

function nonceOf(part: SealedPart): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32LE(part === 'index' ? INDEX : BLOCK, 0)
  nonce.writeBigUInt64LE(part === 'index' ? 0n : BigInt(part), 4)
  return nonce
}

function wrapKeyOf(shared: Buffer, ephemeral: Uint8Array, recipient: Uint8Array): Buffer {
  return derived(shared, Buffer.concat([WRAP_INFO, ephemeral, recipient]))
}

function derived(secret: Buffer, info: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', info, KEY_BYTES))
}

function sealGcm(key: Buffer, nonce: Buffer, bytes: Uint8Array): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  const ciphertext = cipher.update(bytes)
  cipher.final()
  return Buffer.concat([ciphertext, cipher.getAuthTag()])
}

function openGcm(key: Buffer, nonce: Buffer, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const bytes = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES))
  try {
    decipher.final()
    return bytes
  } catch {
    // The tag is another one.
    return undefined
  }
}
