/**
 * Certificates by which a witness and the nodes of a cluster know each other. An authority signs
 * them once and is forgotten: no one can add a member to them, or become one, later.
 *
 * etcd speaks to itself with the certificate of its server when it answers JSON, so that
 * certificate is one of a client too.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { ascii, bitString, der, extension, sequence, signCertificate } from './certificate.ts'

/** PEM. */
export interface IssuedCertificate {
  readonly key: string
  readonly certificate: string
}

export interface WitnessCertificates {
  /** Of the authority, PEM. */
  readonly ca: string
  readonly witness: IssuedCertificate
  readonly nodes: ReadonlyMap<string, IssuedCertificate>
}

const AUTHORITY = 'walcast witness authority'
/** Where the one member of the cluster would be called by others of it. */
const OWN_HOST = '127.0.0.1'
/** Tags within a name (RFC 5280, section 4.2.1.6). */
const DNS_NAME = 0x82
const IP_ADDRESS = 0x87

/** DER of object identifiers (RFC 5280, sections 4.2.1.3, .6, .9 and .12). */
const KEY_USAGE = Buffer.from('0603551d0f', 'hex')
const ALTERNATIVE_NAME = Buffer.from('0603551d11', 'hex')
const BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex')
const EXTENDED_USAGE = Buffer.from('0603551d25', 'hex')
const SERVER = Buffer.from('06082b06010505070301', 'hex')
const CLIENT = Buffer.from('06082b06010505070302', 'hex')

/** CA, with no other authority below it. */
const OF_AUTHORITY = [
  extension(BASIC_CONSTRAINTS, true, sequence(Buffer.from('0101ff020100', 'hex'))),
  // keyCertSign
  extension(KEY_USAGE, true, bitString(Buffer.of(0x04), 2)),
]
/** digitalSignature */
const SIGNS = extension(KEY_USAGE, true, bitString(Buffer.of(0x80), 7))
const OF_CLIENT = [SIGNS, extension(EXTENDED_USAGE, false, sequence(CLIENT))]

/** `host`: by which nodes reach the witness; an address or a name, IPv6 without brackets. */
export function makeWitnessCertificates(
  host: string,
  nodes: readonly string[],
): WitnessCertificates {
  const { privateKey: signer, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const content = { subject: AUTHORITY, issuer: AUTHORITY, publicKey, extensions: OF_AUTHORITY }
  return {
    ca: signCertificate(content, signer),
    witness: issue('walcast witness', signer, ofServer([...new Set([host, OWN_HOST])])),
    nodes: new Map(nodes.map((node) => [node, issue(node, signer, OF_CLIENT)])),
  }
}

function issue(
  subject: string,
  signer: KeyObject,
  extensions: readonly Buffer[],
): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: signCertificate({ subject, issuer: AUTHORITY, publicKey, extensions }, signer),
  }
}

function ofServer(hosts: readonly string[]): readonly Buffer[] {
  return [
    SIGNS,
    extension(EXTENDED_USAGE, false, sequence(SERVER, CLIENT)),
    extension(ALTERNATIVE_NAME, false, sequence(...hosts.map(alternativeName))),
  ]
}

function alternativeName(host: string): Buffer {
  const version = isIP(host)
  if (version === 0) return der(DNS_NAME, ascii(host))
  return der(IP_ADDRESS, version === 4 ? ipv4Bytes(host) : ipv6Bytes(host))
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

/** The URL parser writes the groups of an address in one way, with at most one gap. */
function ipv6Bytes(address: string): Buffer {
  const { hostname } = new URL(`http://[${address}]`)
  const [head, tail] = hostname.slice(1, -1).split('::')
  const groupsOf = (text: string | undefined) => (text ? text.split(':') : [])
  const [before, after] = [groupsOf(head), groupsOf(tail)]
  const gap = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const bytes = Buffer.alloc(16)
  for (const [i, group] of [...before, ...gap, ...after].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i)
  return bytes
}
