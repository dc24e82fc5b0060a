/**
 * Who may talk to a node. Operators send `Authorization: Bearer SECRET`. Nodes sign their requests
 * with `X-Replica-Auth: v1 node=ID epoch=N time=MS nonce=HEX mac=HEX`. The MAC is HMAC-SHA256 over
 * method, path with query, time, nonce, node id and epoch, one a line. A token is valid once, for
 * 30 s in the receiver's clock, and only if it is younger than the receiver's process.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { messageOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { closeSync, fstatSync, openSync, readFileSync } from '../platform/files.ts'
import { randomBytes } from '../platform/random.ts'
import { requirePrivate } from './privateFile.ts'

export const REPLICA_AUTH_HEADER = 'x-replica-auth'
const VALID_MS = 30_000
const MIN_SECRET_CHARS = 16
/**
 * The most nonces remembered. When more are valid, the oldest are forgotten, and tokens that old
 * are refused.
 */
const MAX_NONCES = 100_000
const TOKEN = new RegExp(
  String.raw`^v1 node=([\w.-]{1,128}) epoch=(\d{1,15}) time=(\d{1,15}) ` +
    'nonce=([0-9a-f]{32}) mac=([0-9a-f]{64})$',
)

/**
 * Reads the cluster secret from WALCAST_SECRET, or from the file that WALCAST_SECRET_FILE names;
 * undefined when neither is set. Throws SECRET_UNREADABLE or SECRET_SHARED.
 */
export function readSecret(environment: NodeJS.ProcessEnv): string | undefined {
  const direct = environment['WALCAST_SECRET']
  const file = environment['WALCAST_SECRET_FILE']
  if (direct && file)
    throw new WalcastError('SECRET_UNREADABLE', {
      detail: 'both WALCAST_SECRET and WALCAST_SECRET_FILE are set',
    })
  const secret = file ? readSecretFile(file) : direct
  if (!secret && !file) return undefined
  checkSecret(secret ?? '')
  return secret
}

/** Throws SECRET_UNREADABLE when the secret is too short. */
export function checkSecret(secret: string): void {
  if (secret.length < MIN_SECRET_CHARS)
    throw new WalcastError('SECRET_UNREADABLE', {
      detail: `it has only ${secret.length} characters`,
    })
}

function readSecretFile(path: string): string {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    requirePrivate(path, fstatSync(file))
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError('SECRET_UNREADABLE', { detail: messageOf(error) }, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

interface Claim {
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly node: string
  readonly epoch: string
  readonly timeMs: string
  readonly nonce: string
}

function macOf(secret: string, claim: Claim): Buffer {
  const { method, path, timeMs, nonce, node, epoch } = claim
  return createHmac('sha256', secret)
    .update([method, path, timeMs, nonce, node, epoch].join('\n'))
    .digest()
}

/**
 * The header's value for one request. `secret` is '' in a cluster without one. `nowMs` is the
 * receiver's clock, as far as this node knows it.
 */
export function signRequest(
  secret: string,
  request: { method: string; path: string; node: string; epoch: number; nowMs: number },
): string {
  const { method, path, node, epoch, nowMs } = request
  const claim = {
    method,
    path,
    node,
    epoch: String(epoch),
    timeMs: String(Math.round(nowMs)),
    nonce: randomBytes(16).toString('hex'),
  }
  const mac = macOf(secret, claim).toString('hex')
  const { timeMs, nonce } = claim
  return `v1 node=${node} epoch=${claim.epoch} time=${timeMs} nonce=${nonce} mac=${mac}`
}

/** The node that a token names, and its epoch. The token may be invalid all the same. */
export function senderOf(
  token: string | undefined,
): { readonly node: string; readonly epoch: number } | undefined {
  const match = TOKEN.exec(token ?? '')
  return match ? { node: match[1], epoch: Number(match[2]) } : undefined
}

export class Authenticator {
  readonly #secret: string | undefined
  readonly #clock: Clock
  /** Older tokens are refused. This is the start of this process, or the last forgotten nonce. */
  #notBeforeMs: number
  /** Used nonces in order of arrival, with the times of their tokens. */
  readonly #nonces = new Map<string, number>()

  constructor(secret: string | undefined, clock: Clock) {
    this.#secret = secret
    this.#clock = clock
    this.#notBeforeMs = Math.floor(clock.nowMs())
  }

  get isOpen(): boolean {
    return this.#secret === undefined
  }

  /** Whether an operator's `Authorization` header carries the secret. */
  acceptsOperator(header: string | undefined): boolean {
    if (this.#secret === undefined) return true
    const given = /^Bearer (.+)$/.exec(header ?? '')?.[1] ?? ''
    return timingSafeEqual(digest(given), digest(this.#secret))
  }

  /** Why a node's token is not accepted, or undefined when it is. */
  refuseNode(header: string | undefined, method: string, path: string): WalcastError | undefined {
    return this.#secret === undefined ? undefined : this.#refuse(this.#secret, header, method, path)
  }

  /**
   * The same for a request to the application. It needs a token even without a secret: a foreign
   * web page can make a browser send requests to this machine, but not with a custom header.
   */
  refuseForward(
    header: string | undefined,
    method: string,
    path: string,
  ): WalcastError | undefined {
    return this.#refuse(this.#secret ?? '', header, method, path)
  }

  #refuse(
    secret: string,
    header: string | undefined,
    method: string,
    path: string,
  ): WalcastError | undefined {
    const match = TOKEN.exec(header ?? '')
    if (!match) return wrongSecret(header ? 'its token is malformed' : 'it sent no token')
    const [, node, epoch, timeMs, nonce, mac] = match
    const expected = macOf(secret, { method, path, node, epoch, timeMs, nonce })
    if (!timingSafeEqual(Buffer.from(mac, 'hex'), expected))
      return wrongSecret('its secret is another one')
    const detail = this.#refuseTime(Number(timeMs)) ?? this.#refuseNonce(nonce, Number(timeMs))
    return detail === undefined ? undefined : new WalcastError('CLOCKS_DIFFER', { detail })
  }

  #refuseTime(timeMs: number): string | undefined {
    const nowMs = this.#clock.nowMs()
    if (Math.abs(nowMs - timeMs) > VALID_MS)
      return 'its token has expired; compare the clocks of the two machines'
    return timeMs < this.#notBeforeMs
      ? 'its token is older than what this node remembers'
      : undefined
  }

  #refuseNonce(nonce: string, timeMs: number): string | undefined {
    const expiredMs = this.#clock.nowMs() - VALID_MS
    for (const [old, oldMs] of this.#nonces) {
      if (oldMs >= expiredMs && this.#nonces.size < MAX_NONCES) break
      this.#nonces.delete(old)
      if (oldMs >= expiredMs) this.#notBeforeMs = Math.max(this.#notBeforeMs, oldMs + 1)
    }
    if (this.#nonces.has(nonce)) return 'its token was used before'
    this.#nonces.set(nonce, timeMs)
    return undefined
  }
}

function wrongSecret(detail: string): WalcastError {
  return new WalcastError('WRONG_SECRET', { detail })
}

/** Comparing digests takes the same time whatever the lengths. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
