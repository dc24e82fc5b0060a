/** Addresses and networks as options name them. */

import { isIP, SocketAddress } from 'node:net'

/** A word in place of a network: no proxy is trusted, not even on this machine. */
export const TRUST_NONE = 'none'
/** A word in place of a network: this machine, which is trusted unless `none` is given. */
export const TRUST_LOOPBACK = 'loopback'
/** Longer than every address, with its brackets, zone and port. */
const MAX_ADDRESS_CHARS = 80

/**
 * An address in canonical form, without port and zone: IPv6 as in RFC 5952, IPv4 without the
 * prefix that a dual-stack socket puts before it. Undefined when `text` is no address.
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

/** Parses `ADDRESS` or `ADDRESS/BITS`; undefined when `text` is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [, given, bitsText] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const address = given === undefined ? undefined : canonicalAddress(given)
  if (given === undefined || address === undefined) return undefined
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const width = family === 'ipv6' ? 128 : 32
  // An IPv4 network may be written as one of IPv6.
  const offset = family === 'ipv4' && given.includes(':') ? 96 : 0
  const bits = bitsText === undefined ? width : Number(bitsText) - offset
  return bits < 0 || bits > width ? undefined : { address, bits, family }
}
