/** The URL of a node, from an address that a person typed. */
import { WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { plainText } from '../plainText.ts'

export const ADDRESS_WANTED = 'HOST:PORT or a URL such as http://127.0.0.1:8470'
const MAX_SHOWN_CHARS = 100

/**
 * The URL of `path` at the node. Ignores what follows the host in HOST:PORT or a URL. Throws USAGE.
 */
export function askedUrl(node: string, path: string): URL {
  const given = node.trim()
  const base = /^[a-z][a-z\d+.-]*:\/\//i.test(given) ? urlIn(given) : addressIn(given)
  return new URL(path, base)
}

function urlIn(given: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined
  // It may hold a password, so it is not repeated.
  if (url && (url.username !== '' || url.password !== ''))
    throw usage(
      'a URL without user and password',
      undefined,
      'the secret comes from WALCAST_SECRET',
    )
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw usage(ADDRESS_WANTED, given)
}

function addressIn(given: string): URL {
  const [address] = given.split('/', 1)
  if (parseHostPort(address)) return new URL(`http://${address}`)
  throw usage(ADDRESS_WANTED, given, hintFor(given, address))
}

function hintFor(given: string, address: string): string | undefined {
  if (/^[./~]/.test(given)) return 'that is a path'
  if (/^[\da-f]*(:[\da-f]*){2,}(%\w+)?$/i.test(address))
    return 'put an IPv6 address in brackets: [::1]:8470'
  if (/^\d{1,5}$/.test(address)) return `a port needs a host before it: 127.0.0.1:${address}`
  if (/^(\[[\da-f:]+\]|[\w.-]+)$/i.test(address)) return `add the port: ${address}:8470`
  return undefined
}

function usage(wanted: string, given?: string, hint?: string): WalcastError {
  const shown = given === undefined ? '' : `, not "${plainText(given, MAX_SHOWN_CHARS)}"`
  return new WalcastError('USAGE', {
    detail: `the address of a node is ${wanted}${shown}${hint ? ` (${hint})` : ''}`,
  })
}
