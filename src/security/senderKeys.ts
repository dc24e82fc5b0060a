/**
 * Whether a signed request came over a connection of the node that it names. The signature proves
 * the cluster secret, which all nodes share; the key of the connection tells which of them it is.
 */
import type { Socket } from 'node:net'
import { WalcastError } from '../errors.ts'
import { type ConnectionKeys, connectionKeys } from './connectionKeys.ts'
import type { MemberSockets } from './memberSockets.ts'

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
  readonly #sockets: Pick<MemberSockets, 'add'>

  /**
   * `hasAuthority`: whether the operator's authority vouches for nodes. `sockets` hears of the
   * connections of nodes that are believed.
   */
  constructor(known: KnownKeys, hasAuthority: () => boolean, sockets: Pick<MemberSockets, 'add'>) {
    this.#known = known
    this.#hasAuthority = hasAuthority
    this.#sockets = sockets
  }

  /**
   * Why a request with a valid signature of `node` is not believed on this connection: KEY_REMOVED
   * or WRONG_KEY.
   */
  refuse(socket: Socket, node: string): WalcastError | undefined {
    const keys = connectionKeys(socket)
    if (keys ? this.#isRemovedKey(keys) : this.#known.isRemovedNode(node))
      return new WalcastError('KEY_REMOVED', { node })
    const detail = keys && this.#refuseKey(keys, node)
    if (detail !== undefined) return new WalcastError('WRONG_KEY', { node, detail })
    this.#sockets.add(socket, node, keys?.client ?? '')
    return undefined
  }

  #isRemovedKey({ client }: ConnectionKeys): boolean {
    return client !== undefined && this.#known.isRemoved(client)
  }

  #refuseKey({ client, isVerified }: ConnectionKeys, node: string): string | undefined {
    const known = this.#known
    if (client === undefined) return 'its connection has no certificate'
    if (this.#hasAuthority() && !isVerified)
      return 'no authority that is known here vouches for its certificate'
    const owner = known.nodeOf(client)
    if (owner === node) return undefined
    if (owner !== undefined) return `it has the key of node ${owner}`
    if (known.introduce(node, client, '') || this.#hasAuthority()) return undefined
    return `its key ${client.slice(0, 16)} is not that of a member`
  }
}
