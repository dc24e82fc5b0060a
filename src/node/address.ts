import { WalcastError } from '../errors.ts'

/** Splits HOST:PORT; IPv6 hosts are in brackets. Throws USAGE. */
export function addressOf(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (!match || port > 65535 || !URL.canParse(`http://${address}`))
    throw new WalcastError('USAGE', { detail: `"${address}" is not HOST:PORT` })
  return { host: match[1] ?? match[2], port }
}
