import { WalcastError } from '../errors.ts'
import { type HostPort, isEverywhere, parseHostPort } from '../hostPort.ts'
import type { NodeOptions } from './options.ts'

/** Splits HOST:PORT. Throws USAGE. */
export function addressOf(address: string): HostPort {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('USAGE', { detail: `"${address}" is not HOST:PORT` })
  return parsed
}

/** `address`, of this node, as others reach it: with the host that it is known by in place of one that stands for every address. */
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
export function ownAddress({ advertise, listen }: Pick<NodeOptions, 'advertise' | 'listen'>): string {
  return advertise ?? listen
}
