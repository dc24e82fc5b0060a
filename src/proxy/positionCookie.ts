/**
 * The cookie that carries a position from one answer to the next request: `TAG.EPOCH-TXID.MAC`. The
 * tag tells apart clusters that share a browser, without naming them. The MAC keeps clients from
 * making up positions: a read waits for the position in its cookie, so only a node may give one.
 * All nodes of a cluster derive the same key. The cookie says nothing about who the client is.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { formatPosition, isFurther, type Position, parsePosition } from '../../proto/position.ts'
import type { Origin } from './clientAddress.ts'

/** Longer Cookie headers are not searched: Node's own limit for all headers is 16 KiB. */
const MAX_HEADER_CHARS = 16_384
const CLUSTER = /^[\w-]{1,128}$/
const VALUE = /^([\w-]{8})\.(\d{1,15}-\d{1,15})\.([\w-]{16})$/
/** Purpose of the key (HKDF, RFC 5869). */
const KEY_INFO = 'walcast position cookie v1'
const TAG_CHARS = 8
const MAC_CHARS = 16

/** What decides whether an answer renews the cookie. */
export interface Renewed {
  readonly isWrite: boolean
  /** The answer lacks what the client has seen. */
  readonly isStale: boolean
  readonly cacheControl: string
}

interface Key {
  readonly cluster: string
  readonly bytes: Buffer
  readonly tag: string
}

export class PositionCookie {
  readonly #name: string
  readonly #cluster: () => string
  readonly #secret: string | undefined
  #key: Key | undefined
  /** The last value that was made: many clients bring and get the same. */
  #last: { readonly position: Position; readonly value: string } | undefined

  /**
   * `cluster`: '' while this node belongs to none; cookies are then neither read nor written.
   * Without a `secret` the key comes from the cluster's id, which no client is told.
   */
  constructor(name: string, cluster: () => string, secret?: string) {
    this.#name = name
    this.#cluster = cluster
    this.#secret = secret
  }

  /**
   * The position in a Cookie header. Undefined without one, or when no node of this cluster gave
   * it.
   */
  read(header: string | undefined): Position | undefined {
    const value = header === undefined ? undefined : cookieValue(header, this.#name)
    const key = value === undefined ? undefined : this.#currentKey()
    if (value === undefined || !key) return undefined
    if (value === this.#last?.value) return this.#last.position
    const [, tag, text, mac] = VALUE.exec(value) ?? []
    if (tag !== key.tag || !timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(key, text))))
      return undefined
    return parsePosition(text)
  }

  /** The value of a Set-Cookie header, or undefined when there is no cluster to name yet. */
  write(position: Position): string | undefined {
    const value = this.#valueOf(position)
    if (value === undefined) return undefined
    return `${this.#name}=${value}; Path=/; HttpOnly; SameSite=Lax`
  }

  /**
   * The Set-Cookie of an answer based on `position`, to a request with the Cookie header `carried`.
   * A write's position is always promised. A read's position is promised only if it tells the
   * client something new and no shared cache keeps the answer. An answer that lacks what the client
   * has seen (`isStale`) leaves the older promise in place.
   */
  renewal(position: Position, carried: string | undefined, answer: Renewed): string | undefined {
    const { isWrite, isStale, cacheControl } = answer
    if (isWrite) return this.write(position)
    if (isShared(cacheControl)) return undefined
    const old = this.read(carried)
    if (old?.epoch === position.epoch && old.txid === position.txid) return undefined
    if (old && isStale && isFurther(old, position)) return undefined
    return this.write(position)
  }

  /**
   * A Cookie header without our cookie: it identifies the client. It is the same wherever ours
   * stood.
   */
  without(header: string): string {
    return header
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part.split('=', 1)[0].trim() !== this.#name)
      .join('; ')
  }

  #valueOf({ epoch, txid }: Position): string | undefined {
    const key = this.#currentKey()
    if (!key) return undefined
    const last = this.#last
    if (epoch === last?.position.epoch && txid === last.position.txid) return last.value
    const text = formatPosition({ epoch, txid })
    const value = `${key.tag}.${text}.${macOf(key, text)}`
    this.#last = { position: { epoch, txid }, value }
    return value
  }

  /** Undefined while this node belongs to no cluster. */
  #currentKey(): Key | undefined {
    const cluster = this.#cluster()
    if (this.#key?.cluster === cluster) return this.#key
    this.#last = undefined
    this.#key = CLUSTER.test(cluster) ? newKey(this.#secret, cluster) : undefined
    return this.#key
  }
}

/**
 * A Set-Cookie header for a client. A client that came over TLS must send the cookie back over TLS
 * only.
 */
export function securedFor({ isSecure }: Pick<Origin, 'isSecure'>, setCookie: string): string {
  return isSecure ? `${setCookie}; Secure` : setCookie
}

function newKey(secret: string | undefined, cluster: string): Key {
  const bytes = Buffer.from(hkdfSync('sha256', secret ?? cluster, cluster, KEY_INFO, 32))
  const tag = createHmac('sha256', bytes).update('tag').digest('base64url').slice(0, TAG_CHARS)
  return { cluster, bytes, tag }
}

function macOf({ bytes }: Key, text: string): string {
  return createHmac('sha256', bytes).update(text).digest('base64url').slice(0, MAC_CHARS)
}

/**
 * Whether caches may give the answer to other clients (RFC 9111, section 3.5). `max-age` counts
 * unless something keeps shared caches off: they store such an answer (nginx only without a
 * Set-Cookie).
 */
function isShared(cacheControl: string): boolean {
  if (cacheControl === '') return false
  if (/\b(public|s-maxage|immutable)\b/i.test(cacheControl)) return true
  return (
    /\bmax-age\s*=\s*"?0*[1-9]/i.test(cacheControl) &&
    !/\b(private|no-store|no-cache)\b/i.test(cacheControl)
  )
}

/** The last value wins: of two cookies with one name, the later one is often the more recent. */
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
