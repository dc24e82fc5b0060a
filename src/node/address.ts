import { WalcastError } from '../errors.ts'
import { type HostPort, parseHostPort } from '../hostPort.ts'
import type { NodeOptions } from './options.ts'

/** Splits HOST:PORT. Throws USAGE. */
export function addressOf(address: string): HostPort {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('USAGE', { detail: `"${address}" is not HOST:PORT` })
  return parsed
}

/** HOST:PORT by which other nodes know this one. */
export function ownAddress({ advertise, listen }: Pick<NodeOptions, 'advertise' | 'listen'>): string {
  return advertise ?? listen
}
