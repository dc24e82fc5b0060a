/**
 * The code that a person carries from a node to the host of a new one. One word in base32. Its
 * bytes:
 *
 *     version 1 | length 1 | HOST:PORT | fingerprint 32 | id 4 | secret 16 | checksum 4
 *
 * The checksum, of all before it, tells a typing error before anything is sent. It proves nothing.
 */
import { createHash } from 'node:crypto'
import { messageOf, WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { fromBase32, MISTYPED, toBase32 } from './base32.ts'

export interface PairingCode {
  /** HOST:PORT of the node that made the code. */
  readonly address: string
  /** SHA-256 of its TLS key, 64 hex digits. */
  readonly fingerprint: string
  /** Names the code at that node, and is no secret: 8 hex digits. */
  readonly id: string
  /** 16 random bytes. */
  readonly secret: Buffer
}

export const PAIRING_ID_BYTES = 4
export const PAIRING_SECRET_BYTES = 16
const VERSION = 1
const FINGERPRINT_BYTES = 32
const CHECKSUM_BYTES = 4
const HEAD_BYTES = 2
const FIXED_BYTES =
  HEAD_BYTES + FINGERPRINT_BYTES + PAIRING_ID_BYTES + PAIRING_SECRET_BYTES + CHECKSUM_BYTES
/** The longest HOST:PORT that a code can hold. */
const MAX_CODE_ADDRESS_BYTES = 255

/** Throws PAIRING_CODE_BAD for an address of more than MAX_CODE_ADDRESS_BYTES. */
export function formatPairingCode({ address, fingerprint, id, secret }: PairingCode): string {
  const host = Buffer.from(address, 'utf8')
  if (host.length > MAX_CODE_ADDRESS_BYTES) throw bad('the address of the node is too long for it')
  const body = Buffer.concat([
    Buffer.of(VERSION, host.length),
    host,
    Buffer.from(fingerprint, 'hex'),
    Buffer.from(id, 'hex'),
    secret,
  ])
  return toBase32(Buffer.concat([body, checksum(body)]))
}

/** Throws PAIRING_CODE_BAD, which never quotes the text. */
export function parsePairingCode(text: string): PairingCode {
  const bytes = bytesIn(text.trim())
  const [version, length] = bytes
  if (bytes.length < FIXED_BYTES) throw bad('it is too short: a part of it is missing')
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  if (!checksum(body).equals(bytes.subarray(-CHECKSUM_BYTES))) throw bad(MISTYPED)
  if (version !== VERSION)
    throw bad(`it has version ${version}, and this program reads ${VERSION}: update it`)
  if (bytes.length !== FIXED_BYTES + length) throw bad('its length is not what it says')
  const parts = body.subarray(HEAD_BYTES)
  const address = parts.subarray(0, length).toString('utf8')
  if (!parseHostPort(address)) throw bad('the address in it is not HOST:PORT')
  const at = (from: number, count: number) => parts.subarray(length + from, length + from + count)
  return {
    address,
    fingerprint: at(0, FINGERPRINT_BYTES).toString('hex'),
    id: at(FINGERPRINT_BYTES, PAIRING_ID_BYTES).toString('hex'),
    secret: at(FINGERPRINT_BYTES + PAIRING_ID_BYTES, PAIRING_SECRET_BYTES),
  }
}

function checksum(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest().subarray(0, CHECKSUM_BYTES)
}

function bytesIn(text: string): Buffer {
  try {
    return fromBase32(text, FIXED_BYTES + MAX_CODE_ADDRESS_BYTES)
  } catch (error) {
    throw bad(messageOf(error))
  }
}

function bad(detail: string): WalcastError {
  return new WalcastError('PAIRING_CODE_BAD', { detail })
}
