/** The cookie that carries a position from one answer to the next request: `CLUSTER.EPOCH-TXID`. */
import { formatPosition, isFurther, type Position, parsePosition } from '../../proto/position.ts'
import type { Origin } from './clientAddress.ts'

/** Longer Cookie headers are not searched: Node's own limit for all headers is 16 KiB. */
const MAX_HEADER_CHARS = 16_384
/** Characters that may stand in a cookie's value unquoted (RFC 6265, section 4.1.1), of those that ids have. */
const CLUSTER = /^[\w-]{1,128}$/

/** Throws when `name` is no token: a bug of the caller, since the option table checks it. */
export class PositionCookie {
  readonly #name: string
  readonly #cluster: () => string

  /** `cluster`: '' while this node belongs to none; no cookie is read or written then. */
  constructor(name: string, cluster: () => string) {
    this.#name = name
    this.#cluster = cluster
  }

  /** The position in a Cookie header; undefined without one, or when it is another cluster's. */
  read(header: string | undefined): Position | undefined {
    const value = header === undefined ? undefined : cookieValue(header, this.#name)
    const cluster = this.#cluster()
    if (value === undefined || cluster === '' || !value.startsWith(`${cluster}.`)) return undefined
    return parsePosition(value.slice(cluster.length + 1))
  }

  /** The value of a Set-Cookie header, or undefined when there is no cluster to name yet. */
  write(position: Position): string | undefined {
    const cluster = this.#cluster()
    if (!CLUSTER.test(cluster)) return undefined
    return `${this.#name}=${cluster}.${formatPosition(position)}; Path=/; HttpOnly; SameSite=Lax`
  }

  /**
   * The Set-Cookie of an answer based on `position`, to a request with the Cookie header `carried`. A write's position is
   * always promised; a read's only where it tells the client something new and no shared cache keeps the answer. One that
   * was served although it lacks what the client has seen (`isStale`) leaves that promise to the reads that follow.
   */
  renewal(
    position: Position,
    carried: string | undefined,
    answer: { readonly isWrite: boolean; readonly isStale: boolean; readonly cacheControl: string },
  ): string | undefined {
    if (answer.isWrite) return this.write(position)
    if (isShared(answer.cacheControl)) return undefined
    const old = this.read(carried)
    if (old?.epoch === position.epoch && old.txid === position.txid) return undefined
    if (old && answer.isStale && isFurther(old, position)) return undefined
    return this.write(position)
  }

  /** A Cookie header without our cookie: what identifies the client. The same wherever ours stood. */
  without(header: string): string {
    return header
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part.split('=', 1)[0].trim() !== this.#name)
      .join('; ')
  }
}

/** A Set-Cookie header for a client: one that came over TLS is to send the cookie back over TLS only. */
export function securedFor({ isSecure }: Pick<Origin, 'isSecure'>, setCookie: string): string {
  return isSecure ? `${setCookie}; Secure` : setCookie
}

/** Whether caches may give the answer to other clients (RFC 9111, section 3.5). */
function isShared(cacheControl: string): boolean {
  return /\b(public|s-maxage|immutable)\b/i.test(cacheControl)
}

/** The last value wins, as of two cookies with one name the more recent one is often the later. */
function cookieValue(header: string, name: string): string | undefined {
  if (header.length > MAX_HEADER_CHARS || !header.includes(name)) return undefined
  let found: string | undefined
  for (const part of header.split(';')) {
    const at = part.indexOf('=')
    if (at > 0 && part.slice(0, at).trim() === name)
      found = part
        .slice(at + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1')
  }
  return found
}
