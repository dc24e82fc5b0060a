import { WalcastError } from '../errors.ts'
import { type HostPort, isEverywhere, parseHostPort } from '../hostPort.ts'
import type { NodeOptions } from './nodeOptions.ts'

/** Splits HOST:PORT. Throws USAGE. */
export function addressOf(address: string): HostPort {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('USAGE', { detail: `"${address}" is not HOST:PORT` })
  return parsed
}

/**
 * An address of this node as others reach it: a host that stands for every address (0.0.0.0, ::)
 * gives way to the one that other nodes know.
 */
export function reachableAddress(
  address: string,
  options: Pick<NodeOptions, 'advertise' | 'listen'>,
): string {
  const { host, port } = addressOf(address)
  if (!isEverywhere({ host, port })) return address
  const { host: own } = addressOf(ownAddress(options))
  return `${own.includes(':') ? `[${own}]` : own}:${port}`
}

/** The address (HOST:PORT) that other nodes know this one by. */
export function ownAddress({
  advertise,
  listen,
}: Pick<NodeOptions, 'advertise' | 'listen'>): string {
  return advertise ?? listen
}

const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * The URL at which a process of this machine reaches a node that listens on `listen` (HOST:PORT).
 * Throws USAGE.
 */
export function nodeUrl(listen: string, scheme: 'http' | 'https' = 'http'): string {
  const { host, port } = addressOf(listen)
  const name = ANY_ADDRESS[host] ?? host
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`
}
