import { WalcastError } from '../errors.ts'
import { type HostPort, parseHostPort } from '../hostPort.ts'

/** Splits HOST:PORT. Throws USAGE. */
export function addressOf(address: string): HostPort {
  const parsed = parseHostPort(address)
  if (!parsed) throw new WalcastError('USAGE', { detail: `"${address}" is not HOST:PORT` })
  return parsed
}
