/** The keys with which a node serves and calls, which the operator may replace while it runs. */
import { createSecureContext } from '../platform/sockets.ts'
import type { NodeKeys } from './nodeKeys.ts'

/** What `createSecureContext` makes. */
export type SecureContext = ReturnType<typeof createSecureContext>

export interface UsedKeys extends NodeKeys {
  /** PEM of the authority that vouches for the other nodes; undefined: their keys are pinned. */
  readonly authority?: string
}

export class ServedKeys {
  #keys: UsedKeys
  #context: SecureContext
  readonly #onReplaced: (() => void)[] = []

  /** Throws what OpenSSL says of keys that are none. */
  constructor(keys: UsedKeys) {
    this.#context = contextOf(keys)
    this.#keys = keys
  }

  get current(): UsedKeys {
    return this.#keys
  }

  /** For new connections: TLS 1.3 alone, with these keys. */
  get context(): SecureContext {
    return this.#context
  }

  onReplaced(then: () => void): void {
    this.#onReplaced.push(then)
  }

  /** For connections from now on. Throws like the constructor, and keeps what there is then. */
  replace(keys: UsedKeys): void {
    this.#context = contextOf(keys)
    this.#keys = keys
    for (const then of this.#onReplaced) then()
  }
}

/** The same on both sides of a connection. */
export function contextOf(keys: UsedKeys): SecureContext {
  return createSecureContext(contextOptions(keys))
}

/** Without an authority none is believed, not even those that come with Node. */
export function contextOptions({ key, certificate: cert, authority }: UsedKeys) {
  return { ...TLS_VERSION, key, cert, ca: authority === undefined ? [] : [authority] }
}

export const TLS_VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const
