/**
 * The signature of a node of the version before keys, in the header `X-Replica-Auth`:
 *
 *     v1 node=ID epoch=N time=MS nonce=HEX mac=HEX
 *
 * The MAC is HMAC-SHA256 with the cluster secret itself over method, path with query, time, nonce,
 * node id and epoch, one a line. It names no receiver, and covers neither headers nor a body. Only
 * a node with --old-signatures makes or takes one (`cluster/oldNodes.ts`).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

const SIGNATURE = new RegExp(
  String.raw`^v1 node=([\w.-]{1,128}) epoch=(\d{1,15}) time=(\d{1,15}) ` +
    'nonce=([0-9a-f]{32}) mac=([0-9a-f]{64})$',
)

export interface OldSignature {
  readonly node: string
  readonly epoch: number
  readonly timeMs: number
  /** 32 hex digits. */
  readonly nonce: string
  /** 64 hex digits. */
  readonly mac: string
}

/** What an old signature covers of a request. */
export interface OldRequest {
  readonly method: string
  /** Path with query. */
  readonly path: string
}

export interface OldRequestToSign extends OldRequest {
  /** Id of this node. */
  readonly node: string
  readonly epoch: number
  /** The receiver's clock, as far as this node knows it. */
  readonly nowMs: number
}

/** The header's value. `nonce`: 32 hex digits, used once. */
export function signOldRequest(
  secret: string,
  { nowMs, ...request }: OldRequestToSign,
  nonce: string = randomBytes(16).toString('hex'),
): string {
  const { node, epoch } = request
  const timeMs = Math.round(nowMs)
  const mac = macOf(secret, request, { node, epoch, timeMs, nonce }).toString('hex')
  return `v1 node=${node} epoch=${epoch} time=${timeMs} nonce=${nonce} mac=${mac}`
}

/** What an old signature says. It may be false: see `isOldSignatureOf`. */
export function parseOldSignature(header: string | undefined): OldSignature | undefined {
  const match = SIGNATURE.exec(header ?? '')
  if (!match) return undefined
  const [, node, epoch, timeMs, nonce, mac] = match
  return { node, epoch: Number(epoch), timeMs: Number(timeMs), nonce, mac }
}

/** Whether the MAC is that of this request. Takes the same time in any case. */
export function isOldSignatureOf(
  secret: string,
  signature: OldSignature,
  request: OldRequest,
): boolean {
  return timingSafeEqual(Buffer.from(signature.mac, 'hex'), macOf(secret, request, signature))
}

function macOf(
  secret: string,
  { method, path }: OldRequest,
  { node, epoch, timeMs, nonce }: Omit<OldSignature, 'mac'>,
): Buffer {
  return createHmac('sha256', secret)
    .update([method, path, timeMs, nonce, node, epoch].join('\n'))
    .digest()
}
