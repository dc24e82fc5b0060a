/**
 * Whether a node's signed request is believed. Its signature is valid once, for 30 s in this node's
 * clock, only if it names this node as the receiver, and only if it is younger than this process.
 */
import type { IncomingMessage } from 'node:http'
import { WalcastError } from '../errors.ts'
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
import { COMMAND_LINE, type SenderKeys } from './senderKeys.ts'

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

export class Authenticator {
  readonly #secrets: ClusterSecrets
  readonly #clock: Clock
  readonly #node: () => string
  readonly #senders: Pick<SenderKeys, 'refuse'> | undefined
  readonly #takesOld: boolean
  /** Older signatures are refused: the start of this process, or the last forgotten nonce. */
  #notBeforeMs: number
  /** Used nonces in order of arrival, with the times of their signatures. */
  readonly #nonces = new Map<string, number>()

  /**
   * `node`: id of this node, which a request must name. `senders`: judges the connection over which
   * a request comes. `takesOld`: whether signatures of the version before keys count as well.
   */
  constructor(
    secrets: ClusterSecrets,
    clock: Clock,
    node: () => string,
    senders?: Pick<SenderKeys, 'refuse'>,
    takesOld = false,
  ) {
    this.#secrets = secrets
    this.#clock = clock
    this.#node = node
    this.#senders = senders
    this.#takesOld = takesOld
    this.#notBeforeMs = Math.floor(clock.nowMs())
  }

  get isOpen(): boolean {
    return this.#secrets.isOpen
  }

  /**
   * Why a node's request is not believed, or undefined when it is. Without a secret every request
   * is. WRONG_SECRET, WRONG_RECEIVER, CLOCKS_DIFFER or WRONG_KEY.
   */
  refuseNode(request: SignedMessage, purpose: 'stream' | 'order'): WalcastError | undefined {
    return this.isOpen ? undefined : this.#refuse(request, purpose)
  }

  /**
   * The same for a request to the application. It needs a signature even without a secret: a
   * foreign web page can make a browser send requests to this machine, but not with this header.
   */
  refuseForward(request: SignedMessage): WalcastError | undefined {
    return this.#refuse(request, 'forward')
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
    if (!key) return wrongSecret('it has another secret')
    if (!isSignedBy(key, signature, { purpose, method, path, headers: rawHeaders }))
      return wrongSecret('its signature is that of another request')
    return (
      this.#refuseReceiver(signature) ??
      this.#refuseReplay(signature) ??
      this.#refuseSender(request, signature, purpose)
    )
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
    const detail = socket && this.#senders?.refuse(socket, signature.node)
    if (refused || detail === undefined) return refused
    return new WalcastError('WRONG_KEY', { node: signature.node, detail })
  }

  #refuseSender(
    { socket }: SignedMessage,
    { from }: Signature,
    purpose: KeyPurpose,
  ): WalcastError | undefined {
    if (!socket || this.isOpen || (from === COMMAND_LINE && purpose === 'order')) return undefined
    const detail = this.#senders?.refuse(socket, from)
    return detail === undefined ? undefined : new WalcastError('WRONG_KEY', { node: from, detail })
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
