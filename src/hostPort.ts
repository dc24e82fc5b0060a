/** Addresses of nodes: HOST:PORT, IPv6 hosts in brackets. */
import { isIP } from 'node:net'

export interface HostPort {
  /** Without brackets. */
  readonly host: string
  readonly port: number
}

/** A host has no character at which a URL would end it. */
const PATTERN = /^(?:\[([0-9a-fA-F:]+)\]|([^:/?#@[\]\s]+)):(\d{1,5})$/

/**
 * Whether the address stands for all addresses of a machine: a node can listen on it, but others
 * cannot connect to it.
 */
export function isEverywhere({ host }: HostPort): boolean {
  return host === '0.0.0.0' || /^[0:]*:[0:]*$/.test(host)
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Whether only this machine reaches a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Undefined when the text is not an address, or no request can be sent to it. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = PATTERN.exec(text)
  // A URL also refuses a port past 65535, and a host such as 10.0.0.999.
  if (!match || !URL.canParse(`http://${text}`)) return undefined
  return { host: match[1] ?? match[2], port: Number(match[3]) }
}
