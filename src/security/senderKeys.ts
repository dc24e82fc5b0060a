/**
 * Whether a signed request came over a connection of the node that it names. The signature proves
 * the cluster secret, which all nodes share; the key of the connection tells which of them it is.
 */
import type { Socket } from 'node:net'
import { type ConnectionKeys, connectionKeys } from './connectionKeys.ts'

/** As whom the command line signs. It has no key of its own. */
export const COMMAND_LINE = 'cli'

/** What this node knows of other nodes' keys. Fingerprints are 64 hex digits. */
export interface KnownKeys {
  /** Id of the living member with this key. */
  nodeOf(fingerprint: string): string | undefined
  isRemoved(fingerprint: string): boolean
  /** Whether the node was removed from the cluster, and is not back with another key. */
  isRemovedNode(node: string): boolean
  /**
   * A node has proven the cluster secret over TLS with this key. `address`: '' when unknown. False
   * when the cluster takes in no member in this way.
   */
  introduce(node: string, fingerprint: string, address: string): boolean
}

export class SenderKeys {
  readonly #known: KnownKeys
  readonly #hasAuthority: () => boolean

  /** `hasAuthority`: whether the operator's authority vouches for nodes. */
  constructor(known: KnownKeys, hasAuthority: () => boolean) {
    this.#known = known
    this.#hasAuthority = hasAuthority
  }

  /** Why a request with a valid signature of `node` is not believed on this connection. */
  refuse(socket: Socket, node: string): string | undefined {
    const keys = connectionKeys(socket)
    if (keys) return this.#refuseKey(keys, node)
    return this.#known.isRemovedNode(node) ? 'it was removed from the cluster' : undefined
  }

  #refuseKey({ client, isVerified }: ConnectionKeys, node: string): string | undefined {
    const known = this.#known
    if (client === undefined) return 'its connection has no certificate'
    if (known.isRemoved(client)) return 'its key was removed from the cluster'
    if (this.#hasAuthority() && !isVerified)
      return 'no authority that is known here vouches for its certificate'
    const owner = known.nodeOf(client)
    if (owner === node) return undefined
    if (owner !== undefined) return `it has the key of node ${owner}`
    if (known.introduce(node, client, '') || this.#hasAuthority()) return undefined
    return `its key ${client.slice(0, 16)} is not that of a member`
  }
}
