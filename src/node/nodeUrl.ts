import { addressOf } from '../options/address.ts'

const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Where a process of this machine asks a node that listens on `listen` (HOST:PORT). Throws USAGE. */
export function nodeUrl(listen: string): string {
  const { host, port } = addressOf(listen)
  const name = ANY_ADDRESS[host] ?? host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
