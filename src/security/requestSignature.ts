/**
 * The signature of a request between nodes, in the header `X-Replica-Auth`:
 *
 *     v2 key=ID from=NODE to=NODE epoch=N time=MS nonce=HEX body=HEX|stream mac=HEX
 *
 * The MAC is HMAC-SHA256 with a key derived for the purpose of the request. It covers, one a line:
 * version, purpose, method, path with query, time, nonce, sender, receiver, epoch, the digest of
 * the body, and the headers that mean something to a node (`walcast-*`), sorted by name. A streamed
 * body (`stream`) is left to TLS.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'
import type { ClusterSecrets, KeyPurpose } from './clusterSecrets.ts'
import { parseOldSignature } from './oldSignature.ts'

export const REPLICA_AUTH_HEADER = 'x-replica-auth'
/** In place of the digest of a body that is streamed. */
export const STREAMED = 'stream'
/** SHA-256 of no bytes, in hex. */
export const NO_BODY = sha256('')
/** The receiver's name while no secret is set: nobody proves who it is. */
export const ANYONE = '-'

const SIGNATURE = new RegExp(
  String.raw`^v2 key=([0-9a-z]{4,8}) from=([\w.-]{1,128}) to=([\w.-]{1,128}) ` +
    String.raw`epoch=(\d{1,15}) time=(\d{1,15}) nonce=([0-9a-f]{32}) ` +
    'body=(stream|[0-9a-f]{64}) mac=([0-9a-f]{64})$',
)
/** Names of headers that a signature covers: those that change what is done. */
const COVERED = /^walcast-(?!challenge$)/i

export interface RequestToSign {
  readonly purpose: KeyPurpose
  readonly method: string
  /** Path with query. */
  readonly path: string
  /** Id of this node. */
  readonly from: string
  /** Id of the receiver; ANYONE while no secret is set. */
  readonly to: string
  readonly epoch: number
  /** The receiver's clock, as far as this node knows it. */
  readonly nowMs: number
  /** SHA-256 of the body in hex; NO_BODY, or STREAMED. */
  readonly body: string
  /** Names and values alternate. */
  readonly headers: readonly string[]
}

export interface Signature {
  readonly keyId: string
  readonly from: string
  readonly to: string
  readonly epoch: number
  readonly timeMs: number
  readonly nonce: string
  readonly body: string
  /** 64 hex digits. */
  readonly mac: string
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The header's value. */
export function signRequest(
  secrets: Pick<ClusterSecrets, 'signingKey'>,
  request: RequestToSign,
): string {
  const { id, key } = secrets.signingKey(request.purpose)
  const timeMs = Math.round(request.nowMs)
  const nonce = randomBytes(16).toString('hex')
  const { from, to, epoch, body } = request
  const mac = macOf(key, request, { from, to, epoch, timeMs, nonce, body }).toString('hex')
  return (
    `v2 key=${id} from=${from} to=${to} epoch=${epoch} time=${timeMs} nonce=${nonce} ` +
    `body=${body} mac=${mac}`
  )
}

/** What a signature says. It may be false: see `isSignedBy`. */
export function parseSignature(header: string | undefined): Signature | undefined {
  const match = SIGNATURE.exec(header ?? '')
  if (!match) return undefined
  const [, keyId, from, to, epoch, timeMs, nonce, body, mac] = match
  return { keyId, from, to, epoch: Number(epoch), timeMs: Number(timeMs), nonce, body, mac }
}

/** The node that a signature names, and its epoch. It may be false all the same. */
export function senderOf(
  header: string | undefined,
): { readonly node: string; readonly epoch: number } | undefined {
  const signature = parseSignature(header)
  return signature ? { node: signature.from, epoch: signature.epoch } : parseOldSignature(header)
}

/** Whether the MAC is that of this request under this key. Takes the same time in any case. */
export function isSignedBy(
  key: Buffer,
  signature: Signature,
  request: Pick<RequestToSign, 'purpose' | 'method' | 'path' | 'headers'>,
): boolean {
  return timingSafeEqual(Buffer.from(signature.mac, 'hex'), macOf(key, request, signature))
}

function macOf(
  key: Buffer,
  {
    purpose,
    method,
    path,
    headers,
  }: Pick<RequestToSign, 'purpose' | 'method' | 'path' | 'headers'>,
  { timeMs, nonce, from, to, epoch, body }: Omit<Signature, 'keyId' | 'mac'>,
): Buffer {
  const claim = ['v2', purpose, method, path, timeMs, nonce, from, to, epoch, body]
  return createHmac('sha256', key)
    .update([...claim, ...coveredLines(headers)].join('\n'))
    .digest()
}

/**
 * `name:value` of each covered header, sorted by name. Several of one name stay in their order,
 * which says how they are joined.
 */
function coveredLines(headers: readonly string[]): string[] {
  const covered: { readonly name: string; readonly value: string }[] = []
  for (let i = 0; i < headers.length; i += 2)
    if (COVERED.test(headers[i]))
      covered.push({ name: headers[i].toLowerCase(), value: headers[i + 1] })
  covered.sort((a, b) => Number(a.name > b.name) - Number(a.name < b.name))
  return covered.map(({ name, value }) => `${name}:${withoutBlanks(value)}`)
}

/** As a receiver gets it (RFC 9110, section 5.5). */
function withoutBlanks(value: string): string {
  let [start, end] = [0, value.length]
  while (start < end && isBlank(value[start])) start++
  while (start < end && isBlank(value[end - 1])) end--
  return value.slice(start, end)
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t'
}
