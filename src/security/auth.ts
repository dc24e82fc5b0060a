/**
 * Whether a node's signed request is believed. Its signature is valid once, for 30 s in this node's
 * clock, only if it names this node as the receiver, and only if it is younger than this process.
 */
import type { IncomingMessage } from 'node:http'
import { type ErrorCode, keyOf, WalcastError } from '../errors.ts'
import { COMMAND_LINE } from '../nodeId.ts'
import type { Clock } from '../platform/clock.ts'
import type { ClusterSecrets, KeyPurpose } from './clusterSecrets.ts'
import { connectionKeys } from './connectionKeys.ts'
import { isOldSignatureOf, type OldSignature, parseOldSignature } from './oldSignature.ts'
import {
  ANYONE,
  isSignedBy,
  parseSignature,
  REPLICA_AUTH_HEADER,
  type Signature,
} from './requestSignature.ts'
import type { SenderKeys } from './senderKeys.ts'

const VALID_MS = 30_000
/**
 * The most nonces remembered. When more are valid, the oldest are forgotten, and signatures that
 * old are refused.
 */
const MAX_NONCES = 100_000

/**
 * The parts of a request that a signature covers, with the signature among its headers, and the
 * connection over which it came.
 */
export type SignedMessage = Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders' | 'headers'> &
  Partial<Pick<IncomingMessage, 'socket'>>

/**
 * Why a signed request proves no node. `node`: who has signed it, when that is certain: it knows
 * the secret, and comes with a wrong key. `key`: of the error.
 */
export type RefusedSender = (
  detail: string,
  address: string | undefined,
  node: string | undefined,
  key: ErrorCode,
) => void

/** Of which refusals is told. `isKnown`: the sender knows the secret. */
const WHY: Readonly<Record<string, { readonly isKnown: boolean; readonly detail?: string }>> = {
  WRONG_SECRET: { isKnown: false },
  WRONG_KEY: { isKnown: true },
  KEY_REMOVED: { isKnown: true, detail: 'its key was removed from the cluster' },
  SECRET_ENDED: { isKnown: true, detail: 'its secret was replaced while it was away' },
}

/** What decides beside the secret. */
export interface Judgement {
  /** Judges the connection over which a request comes. */
  readonly senders?: Pick<SenderKeys, 'refuse'>
  /** Hears who did not prove to be a node. */
  readonly onRefused?: RefusedSender
  /** Whether signatures of the version before keys count as well. */
  readonly takesOld?: boolean
}

export class Authenticator {
  readonly #secrets: ClusterSecrets
  readonly #clock: Clock
  readonly #node: () => string
  readonly #senders: Pick<SenderKeys, 'refuse'> | undefined
  readonly #onRefused: RefusedSender
  readonly #takesOld: boolean
  /** Older signatures are refused: the start of this process, or the last forgotten nonce. */
  #notBeforeMs: number
  /** Used nonces in order of arrival, with the times of their signatures. */
  readonly #nonces = new Map<string, number>()

  /**
   * `node`: id of this node, which a request must name.
   */
  constructor(
    secrets: ClusterSecrets,
    clock: Clock,
    node: () => string,
    { senders, onRefused = () => {}, takesOld = false }: Judgement = {},
  ) {
    this.#secrets = secrets
    this.#clock = clock
    this.#node = node
    this.#senders = senders
    this.#onRefused = onRefused
    this.#takesOld = takesOld
    this.#notBeforeMs = Math.floor(clock.nowMs())
  }

  get isOpen(): boolean {
    return this.#secrets.isOpen
  }

  /**
   * Why a node's request is not believed, or undefined when it is. Without a secret every request
   * is. WRONG_SECRET, SECRET_ENDED, WRONG_RECEIVER, CLOCKS_DIFFER, WRONG_KEY or KEY_REMOVED.
   */
  refuseNode(request: SignedMessage, purpose: 'stream' | 'order'): WalcastError | undefined {
    return this.isOpen ? undefined : this.#told(request, this.#refuse(request, purpose))
  }

  /**
   * The same for a request to the application. It needs a signature even without a secret: a
   * foreign web page can make a browser send requests to this machine, but not with this header.
   */
  refuseForward(request: SignedMessage): WalcastError | undefined {
    return this.#told(request, this.#refuse(request, 'forward'))
  }

  /**
   * Why a request that is believed may not ask for this all the same. `least`: what it needs. What
   * is for nodes, such as the secrets of the cluster, is not for who only knows its secret; and a
   * secret that is being replaced, because it was stolen perhaps, changes nothing that outlasts it.
   * WRONG_SENDER or SECRET_ENDS.
   */
  refuseRight({ headers }: SignedMessage, least: string): WalcastError | undefined {
    const signature = parseSignature(String(headers[REPLICA_AUTH_HEADER] ?? ''))
    if (signature === undefined || this.isOpen) return undefined
    if (least === 'node' && signature.from === COMMAND_LINE) return new WalcastError('WRONG_SENDER')
    return least === 'admin' && this.#secrets.isEnding(signature.keyId)
      ? new WalcastError('SECRET_ENDS', { id: signature.keyId })
      : undefined
  }

  /** Whether the secret that has signed a request is still good, its time and nonce aside. */
  isStillGood({ headers }: SignedMessage): boolean {
    const signature = parseSignature(String(headers[REPLICA_AUTH_HEADER] ?? ''))
    return signature === undefined || this.#secrets.key(signature.keyId, 'order') !== undefined
  }

  #told(
    { headers, socket }: SignedMessage,
    refused: WalcastError | undefined,
  ): WalcastError | undefined {
    const header = headers[REPLICA_AUTH_HEADER]
    const why = header === undefined ? undefined : WHY[keyOf(refused) ?? '']
    if (refused && why) {
      const node = why.isKnown ? parseSignature(String(header))?.from : undefined
      const detail = why.detail ?? String(refused.details['detail'])
      this.#onRefused(detail, socket?.remoteAddress, node, refused.key)
    }
    return refused
  }

  #refuse(request: SignedMessage, purpose: KeyPurpose): WalcastError | undefined {
    const { method = 'GET', url: path = '/', rawHeaders } = request
    const header = request.headers[REPLICA_AUTH_HEADER]
    if (header === undefined) return wrongSecret('it sent no signature')
    const old = this.#takesOld ? parseOldSignature(String(header)) : undefined
    if (old) return this.#refuseOld(request, old)
    const signature = typeof header === 'string' ? parseSignature(header) : undefined
    if (!signature) return wrongSecret('its signature is malformed')
    const key = this.#secrets.key(signature.keyId, purpose)
    if (!key) return this.#refuseEnded(signature, { purpose, method, path, headers: rawHeaders })
    if (!isSignedBy(key, signature, { purpose, method, path, headers: rawHeaders }))
      return wrongSecret('its signature is that of another request')
    return (
      this.#refuseReceiver(signature) ??
      this.#refuseReplay(signature) ??
      this.#refuseSender(request, signature, purpose)
    )
  }

  /** A node that was away while the secret was replaced is told so; a stranger learns nothing. */
  #refuseEnded(signature: Signature, request: Parameters<typeof isSignedBy>[2]): WalcastError {
    const key = this.#secrets.endedKey(signature.keyId, request.purpose)
    if (!key || !isSignedBy(key, signature, request)) return wrongSecret('it has another secret')
    return new WalcastError('SECRET_ENDED', { id: signature.keyId })
  }

  /** It names no receiver, and a node of the version before keys has no key of its own. */
  #refuseOld(request: SignedMessage, signature: OldSignature): WalcastError | undefined {
    const { method = 'GET', url: path = '/', socket } = request
    const { current } = this.#secrets
    if (current === undefined || (socket && connectionKeys(socket)))
      return wrongSecret('its signature is that of an older version')
    if (!isOldSignatureOf(current, signature, { method, path }))
      return wrongSecret('its signature is that of another secret or request')
    const refused = this.#refuseReplay(signature)
    return refused ?? (socket && this.#senders?.refuse(socket, signature.node))
  }

  #refuseSender(
    { socket }: SignedMessage,
    { from }: Signature,
    purpose: KeyPurpose,
  ): WalcastError | undefined {
    if (!socket || this.isOpen || (from === COMMAND_LINE && purpose === 'order')) return undefined
    return this.#senders?.refuse(socket, from)
  }

  #refuseReceiver({ to }: Signature): WalcastError | undefined {
    if (this.isOpen ? to === ANYONE || to === this.#node() : to === this.#node()) return undefined
    return new WalcastError('WRONG_RECEIVER', { node: this.#node(), named: to })
  }

  #refuseReplay({ timeMs, nonce }: Pick<Signature, 'timeMs' | 'nonce'>): WalcastError | undefined {
    const detail = this.#refuseTime(timeMs) ?? this.#refuseNonce(nonce, timeMs)
    return detail === undefined ? undefined : new WalcastError('CLOCKS_DIFFER', { detail })
  }

  #refuseTime(timeMs: number): string | undefined {
    const nowMs = this.#clock.nowMs()
    if (Math.abs(nowMs - timeMs) > VALID_MS)
      return 'its signature has expired; compare the clocks of the two machines'
    return timeMs < this.#notBeforeMs
      ? 'its signature is older than what this node remembers'
      : undefined
  }

  #refuseNonce(nonce: string, timeMs: number): string | undefined {
    const expiredMs = this.#clock.nowMs() - VALID_MS
    for (const [old, oldMs] of this.#nonces) {
      if (oldMs >= expiredMs && this.#nonces.size < MAX_NONCES) break
      this.#nonces.delete(old)
      if (oldMs >= expiredMs) this.#notBeforeMs = Math.max(this.#notBeforeMs, oldMs + 1)
    }
    if (this.#nonces.has(nonce)) return 'its signature was used before'
    this.#nonces.set(nonce, timeMs)
    return undefined
  }
}

function wrongSecret(detail: string): WalcastError {
  return new WalcastError('WRONG_SECRET', { detail })
}
