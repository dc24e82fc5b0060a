/** Addresses and networks as options name them. */

import { isIP, SocketAddress } from 'node:net'

/** In place of networks: not even this machine is trusted. */
export const TRUST_NONE = 'none'
/** In place of networks: this machine, which is trusted in any case but `none`. */
export const TRUST_LOOPBACK = 'loopback'
/** The longest address there is, with brackets, zone and port, is shorter. */
const MAX_ADDRESS_CHARS = 80

/**
 * An address in canonical form: IPv6 as in RFC 5952, IPv4 without the prefix that a dual-stack
 * socket puts before it, both without port and zone. Undefined when it is none.
 */
export function canonicalAddress(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_CHARS) return undefined
  const bare =
    /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text
  const [address] = bare.split('%', 1)
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : undefined
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return canonical.replace(/^::ffff:(?=\d+\.)/, '')
}

export interface Network {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

/** `ADDRESS` or `ADDRESS/BITS`; undefined when it is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [, given, bitsText] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const address = given === undefined ? undefined : canonicalAddress(given)
  if (given === undefined || address === undefined) return undefined
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const width = family === 'ipv6' ? 128 : 32
  // Of an IPv4 network that is written as one of IPv6.
  const offset = family === 'ipv4' && given.includes(':') ? 96 : 0
  const bits = bitsText === undefined ? width : Number(bitsText) - offset
  return bits < 0 || bits > width ? undefined : { address, bits, family }
}
