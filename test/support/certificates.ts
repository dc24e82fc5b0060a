/** An authority of an operator's and certificates for nodes, in DER by hand (RFC 5280). */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'

export interface Issued {
  /** PEM. */
  readonly key: string
  readonly certificate: string
}

const DAY_MS = 24 * 3_600_000

export class Authority {
  readonly certificate: string
  readonly #name: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  constructor(name: string) {
    this.#name = name
    const { publicKey } = this.#keys
    const nowMs = Date.now()
    this.certificate = this.#certificateOf(name, publicKey, nowMs - DAY_MS, nowMs + DAY_MS, [
      // basicConstraints, critical: CA.
      seq(hex('0603551d13'), hex('0101ff'), octets(seq(hex('0101ff')))),
    ])
  }

  /**
   * For a node at 127.0.0.1. `endsMs`: when it ends. It begins a day before now, or before its end
   * if that is earlier.
   */
  issue(
    name: string,
    endsMs = Date.now() + DAY_MS,
    beginsMs = Math.min(Date.now(), endsMs) - DAY_MS,
  ): Issued {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const certificate = this.#certificateOf(name, publicKey, beginsMs, endsMs, [
      // subjectAltName: the address.
      seq(hex('0603551d11'), octets(seq(tag(0x87, Buffer.of(127, 0, 0, 1))))),
    ])
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return { key, certificate }
  }

  #certificateOf(
    name: string,
    key: KeyObject,
    beginsMs: number,
    endsMs: number,
    extensions: Buffer[],
  ): string {
    const serial = randomBytes(8)
    serial[0] = 0x40
    const algorithm = seq(hex('06082a8648ce3d040302'))
    const signed = seq(
      tag(0xa0, hex('020102')),
      tag(0x02, serial),
      algorithm,
      nameOf(this.#name),
      seq(time(beginsMs), time(endsMs)),
      nameOf(name),
      key.export({ type: 'spki', format: 'der' }),
      tag(0xa3, seq(...extensions)),
    )
    const signature = sign('sha256', signed, this.#keys.privateKey)
    const der = seq(signed, algorithm, tag(0x03, Buffer.of(0), signature))
    return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  }
}

/** Paths of the files of a certificate; only the owner may read the key. */
export function writeIssued(path: string, { key, certificate }: Issued): void {
  writeFileSync(`${path}.crt`, certificate)
  writeFileSync(`${path}.key`, key, { mode: 0o600 })
  chmodSync(`${path}.key`, 0o600)
}

function nameOf(name: string): Buffer {
  return seq(tag(0x31, seq(hex('0603550403'), tag(0x0c, Buffer.from(name)))))
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tag(0x18, Buffer.from(text))
}

function seq(...parts: readonly Uint8Array[]): Buffer {
  return tag(0x30, ...parts)
}

function octets(...parts: readonly Uint8Array[]): Buffer {
  return tag(0x04, ...parts)
}

function tag(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...(length < 0x80 ? [length] : long)), content])
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}
