/**
 * Nodes of the version before keys, while a cluster is changed node by node (--old-signatures).
 * They prove nothing, so whoever answers as they do is taken for one: a stranger too, at an address
 * where no node of this version has proven itself since this process began. They are signed to with
 * the cluster secret itself (`security/oldSignature.ts`), and speak plain text only.
 *
 * All that knows of them is here, there, and where `OldNodes` is handed in.
 */

import { type OldRequestToSign, signOldRequest } from '../security/oldSignature.ts'
import { PROOF_HEADER } from '../security/proof.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import type { SocketAnswer } from './socketExchange.ts'

/** Addresses that are remembered of each kind. A cluster has fewer nodes. */
const MAX_ADDRESSES = 1024
/** How they answer a path of the private side that they do not know, asked without the secret. */
const OLD_STATUS = 401
const OLD_CODE = 'WALCAST_UNAUTHORIZED'

export class OldNodes {
  readonly #secret: () => string
  /** HOST:PORT where the last connection met a node of the version before keys. */
  readonly #old = new Set<string>()
  /** HOST:PORT where a node has proven itself: none of them is taken for an old one again. */
  readonly #proven = new Set<string>()

  /** `secret`: that of the cluster. */
  constructor(secret: () => string) {
    this.#secret = secret
  }

  /**
   * Whether who answered the question for a proof like this is taken for an old node. Asked on each
   * new connection, which is the only one that it counts for.
   */
  takes(address: string, { status, headers, body }: SocketAnswer): boolean {
    const isOld =
      status === OLD_STATUS && headers[PROOF_HEADER] === undefined && codeIn(body) === OLD_CODE
    if (!isOld || this.#proven.has(address) || this.#proven.size >= MAX_ADDRESSES) return false
    this.#old.add(address)
    const [oldest] = this.#old
    if (this.#old.size > MAX_ADDRESSES) this.#old.delete(oldest)
    return true
  }

  /** A node has proven itself there. */
  onProven(address: string): void {
    this.#old.delete(address)
    if (this.#proven.size < MAX_ADDRESSES) this.#proven.add(address)
  }

  /** Whether the last connection to HOST:PORT met an old node; undefined: none was made. */
  isOldAt(address: string): boolean | undefined {
    if (this.#old.has(address)) return true
    return this.#proven.has(address) ? false : undefined
  }

  sign(request: OldRequestToSign): string {
    return signOldRequest(this.#secret(), request)
  }

  headersFor(request: OldRequestToSign): Record<string, string> {
    return { [REPLICA_AUTH_HEADER]: this.sign(request) }
  }
}

function codeIn(body: Buffer): unknown {
  try {
    return Object(JSON.parse(body.toString('utf8'))).code
  } catch {
    return undefined
  }
}
