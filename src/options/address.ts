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
 * `address`, of this node, as others reach it: with the host that it is known by in place of one
 * that stands for every address.
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

/** HOST:PORT by which other nodes know this one. */
export function ownAddress({
  advertise,
  listen,
}: Pick<NodeOptions, 'advertise' | 'listen'>): string {
  return advertise ?? listen
}

const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * Where a process of this machine asks a node that listens on `listen` (HOST:PORT). Throws USAGE.
 */
export function nodeUrl(listen: string): string {
  const { host, port } = addressOf(listen)
  const name = ANY_ADDRESS[host] ?? host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
