/** Certificates for EC P-256 keys, written and signed here (RFC 5280, DER by ITU-T X.690). */
import { type KeyObject, sign } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

export interface CertificateContent {
  /** Common names. */
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  /** Each as `extension` gives it. */
  readonly extensions?: readonly Buffer[]
}

/** Tags (ITU-T X.690, section 8). */
const BOOLEAN = 0x01
const INTEGER = 0x02
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30
const SET = 0x31
const VERSION = 0xa0
const EXTENSIONS = 0xa3

/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758). */
const ECDSA_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex')
/** id-at-commonName, 2.5.4.3. */
const COMMON_NAME = Buffer.from('0603550403', 'hex')
const SERIAL_BYTES = 16
/** Before any clock. */
const NOT_BEFORE = '200101000000Z'
/** No end (RFC 5280, section 4.1.2.5). */
const NO_END = '99991231235959Z'

/** A certificate without an end, in PEM. `signer`: the private key of the issuer. */
export function signCertificate(content: CertificateContent, signer: KeyObject): string {
  const { subject, issuer, publicKey, extensions = [] } = content
  const serial = randomBytes(SERIAL_BYTES)
  // Positive, and without a leading zero.
  serial[0] = (serial[0] & 0x3f) | 0x40
  const algorithm = sequence(ECDSA_SHA256)
  const signed = sequence(
    // Version 3.
    der(VERSION, der(INTEGER, Buffer.of(2))),
    der(INTEGER, serial),
    algorithm,
    nameOf(issuer),
    sequence(der(UTC_TIME, ascii(NOT_BEFORE)), der(GENERALIZED_TIME, ascii(NO_END))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(EXTENSIONS, sequence(...extensions))]),
  )
  return pem(sequence(signed, algorithm, bitString(sign('sha256', signed, signer))))
}

/** `id`: the DER of its object identifier. */
export function extension(id: Buffer, isCritical: boolean, content: Buffer): Buffer {
  const critical = isCritical ? [der(BOOLEAN, Buffer.of(0xff))] : []
  return sequence(id, ...critical, der(OCTET_STRING, content))
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(SEQUENCE, ...parts)
}

/** Bytes of a bit string, of whose last byte so many bits are unused. */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return der(BIT_STRING, Buffer.of(unused), bytes)
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

export function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function nameOf(text: string): Buffer {
  const attribute = sequence(COMMON_NAME, der(UTF8_STRING, Buffer.from(text, 'utf8')))
  return sequence(der(SET, attribute))
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
