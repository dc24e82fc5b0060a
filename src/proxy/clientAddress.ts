/**
 * Who sent a request. The peer of a connection is a fact. What the peer says of others
 * (`X-Forwarded-For`, `X-Forwarded-Proto`) is believed only if it is a trusted proxy
 * (`--trusted-proxies`; this machine unless told otherwise). The client is the right-most address
 * of X-Forwarded-For that is no trusted proxy: a trusted proxy wrote it, whatever stands to its
 * left.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  canonicalAddress,
  type Network,
  parseNetwork,
  TRUST_LOOPBACK,
  TRUST_NONE,
} from '../options/network.ts'

/** The address of a connection that closed before it could be asked for it. */
export const UNKNOWN_ADDRESS = 'unknown'
/** A longer chain of trusted proxies is no chain. */
const MAX_HOPS = 32
/** Addresses whose classification is remembered. */
const MAX_KNOWN = 4096
/** Not parsed: Node's pattern for IPv6 takes long to compile, and each node starts with these. */
const LOOPBACK: readonly Network[] = [
  { address: '127.0.0.0', bits: 8, family: 'ipv4' },
  { address: '::1', bits: 128, family: 'ipv6' },
]

/** Who sent a request, as far as trusted proxies tell. */
export interface Origin {
  /** The client's address in canonical form; `unknown` when the connection has closed. */
  readonly address: string
  /**
   * What requests of one client have in common: the IPv4 address, or the /64 network of an IPv6
   * address. Undefined for a trusted proxy: many clients may be behind it.
   */
  readonly client: string | undefined
  /** Whether the client came over TLS. */
  readonly isSecure: boolean
  /** Whether the peer is a trusted proxy: what it says of others is then passed on. */
  readonly isProxied: boolean
}

/** For a program that is asked without a network, such as a test. */
export const NO_ORIGIN: Origin = {
  address: UNKNOWN_ADDRESS,
  client: undefined,
  isSecure: false,
  isProxied: false,
}

interface Known {
  readonly address: string
  readonly isTrusted: boolean
  readonly client: string | undefined
}

/**
 * What is counted as one client: an IPv4 address, or the /64 network of an IPv6 address. `address`
 * is canonical.
 */
export function clientOf(address: string): string {
  if (!address.includes(':')) return address
  const [head, tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = after.length + (address.includes('.') ? 1 : 0)
  const zeros = Array<string>(8 - before.length - groups).fill('0')
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`
}

export class TrustedProxies {
  readonly #networks = new BlockList()
  readonly #known = new Map<string, Known>()

  /**
   * Networks beside this machine, or `none`. Throws when one of them is neither. That is a bug of
   * the caller: the option table checks them.
   */
  constructor(networks: readonly string[]) {
    const named = networks.filter((text) => text !== TRUST_NONE && text !== TRUST_LOOPBACK)
    const given = named.map((text) => {
      const network = parseNetwork(text)
      if (!network) throw new Error(`${text} is no network`)
      return network
    })
    const trusted = networks.includes(TRUST_NONE) ? given : [...LOOPBACK, ...given]
    for (const { address, bits, family } of trusted) this.#networks.addSubnet(address, bits, family)
  }

  /** Who sent a request to this node. */
  originOf({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): Origin {
    const peer = this.#peer(socket.remoteAddress)
    const isEncrypted = (socket as TLSSocket).encrypted === true
    const { isTrusted } = peer
    if (!isTrusted) return originOf(peer, isEncrypted, false)
    const forwardedFor = headers['x-forwarded-for']
    const proto = lastOf(headers['x-forwarded-proto'])
    const sender =
      forwardedFor === undefined ? peer : this.#clientBehind(peer, String(forwardedFor))
    const isSecure = proto === undefined ? isEncrypted : proto.toLowerCase() === 'https'
    return originOf(sender, isSecure, true)
  }

  /**
   * Who sent a request that another node forwarded; that node tells the `address` it saw. Only for
   * a node that has proven itself.
   */
  forwardedOrigin(address: string | undefined): Origin {
    const known = address === undefined ? undefined : this.#lookUp(address)
    return known ? originOf(known, false, true) : NO_ORIGIN
  }

  /** What a connection is counted under; undefined for a trusted proxy. */
  clientAt(peerAddress: string | undefined): string | undefined {
    return this.#peer(peerAddress).client
  }

  /** The client's address, given the peer's and the value of X-Forwarded-For. */
  clientAddress(peerAddress: string, forwardedFor: string | undefined): string {
    const peer = this.#peer(peerAddress)
    if (!peer.isTrusted || forwardedFor === undefined) return peer.address
    return this.#clientBehind(peer, forwardedFor).address
  }

  /** No proxy wrote what cannot be read: the client is then the address that handed it on. */
  #clientBehind(peer: Known, forwardedFor: string): Known {
    let nearest = peer
    let end = forwardedFor.length
    for (let hops = 0; hops < MAX_HOPS && nearest.isTrusted && end > 0; hops++) {
      const comma = forwardedFor.lastIndexOf(',', end - 1)
      const known = this.#lookUp(forwardedFor.slice(comma + 1, end).trim())
      if (!known) break
      nearest = known
      end = comma
    }
    return nearest
  }

  #peer(address: string | undefined): Known {
    const known = address === undefined ? undefined : this.#lookUp(address)
    return known ?? { address: UNKNOWN_ADDRESS, isTrusted: false, client: UNKNOWN_ADDRESS }
  }

  #lookUp(text: string): Known | undefined {
    const known = this.#known.get(text)
    if (known) return known
    const address = canonicalAddress(text)
    if (address === undefined) return undefined
    const isTrusted = this.#networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
    const found = { address, isTrusted, client: isTrusted ? undefined : clientOf(address) }
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(text, found)
    return found
  }
}

function originOf({ address, client }: Known, isSecure: boolean, isProxied: boolean): Origin {
  return { address, client, isSecure, isProxied }
}

/** Each proxy adds to this list: what the nearest one said. */
function lastOf(value: string | string[] | undefined): string | undefined {
  return value === undefined ? undefined : String(value).split(',').at(-1)?.trim()
}
