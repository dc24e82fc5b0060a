/**
 * A key for a node and the certificate that TLS wants with it (RFC 5280). Nodes pin the key, so the
 * certificate says nothing: one name, no end (RFC 5280, section 4.1.2.5), signed by its own key.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

/** Tags of DER (ITU-T X.690, section 8). */
const INTEGER = 0x02
const BIT_STRING = 0x03
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30
const SET = 0x31
const VERSION = 0xa0

/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758). */
const ECDSA_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex')
/** id-at-commonName, 2.5.4.3. */
const COMMON_NAME = Buffer.from('0603550403', 'hex')
const SERIAL_BYTES = 16
/** Before any clock. */
const NOT_BEFORE = '200101000000Z'
const NO_END = '99991231235959Z'

/** A new EC P-256 key (PKCS 8) and its certificate, both PEM. */
export function makeSelfSigned(name: string): {
  readonly key: string
  readonly certificate: string
} {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = certificateOf(name, privateKey, publicKey)
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}

function certificateOf(name: string, privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const serial = randomBytes(SERIAL_BYTES)
  // Positive, and without a leading zero.
  serial[0] = (serial[0] & 0x3f) | 0x40
  const algorithm = der(SEQUENCE, ECDSA_SHA256)
  const attribute = der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from(name, 'utf8')))
  const names = der(SEQUENCE, der(SET, attribute))
  const dates = [der(UTC_TIME, ascii(NOT_BEFORE)), der(GENERALIZED_TIME, ascii(NO_END))]
  const signed = der(
    SEQUENCE,
    // Version 3.
    der(VERSION, der(INTEGER, Buffer.of(2))),
    der(INTEGER, serial),
    algorithm,
    names,
    der(SEQUENCE, ...dates),
    names,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = sign('sha256', signed, privateKey)
  // No bit of the last byte is unused.
  return der(SEQUENCE, signed, algorithm, der(BIT_STRING, Buffer.of(0), signature))
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
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

function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
