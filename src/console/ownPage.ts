/**
 * Which web pages may ask a node. A browser sends requests for any page that a person looks at: to
 * a node without a secret, and, for a page on another port of the same host, with the cookie of the
 * console (`SameSite` does not know ports). So only the console's own page is heard.
 *
 * Programs send none of these headers, and are not meant here.
 */
import type { IncomingMessage } from 'node:http'
import { CONSOLE_HEADER } from '../api/consoleSession.ts'
import { WalcastError } from '../errors.ts'
import { headerOf } from '../proxy/headers.ts'
import { isOverTls } from './sessionCookie.ts'

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD'])
/** What `Sec-Fetch-Site` says of a page of this origin, and of an address that a person typed. */
const OWN_SITES: ReadonlySet<string> = new Set(['same-origin', 'none'])

/**
 * Throws FOREIGN_PAGE for a request of another site's page; for one that changes something, also
 * when the console has not sent it. `hasCookie`: a session of the console lets the request in.
 */
export function requireOwnPage(request: IncomingMessage, hasCookie = false): void {
  const { method = '' } = request
  const [origin, site] = [headerOf(request, 'origin'), headerOf(request, 'sec-fetch-site')]
  // Who follows a link only looks at what comes.
  const isVisit = headerOf(request, 'sec-fetch-mode') === 'navigate' && READS.has(method)
  const isForeignSite = site !== undefined && !OWN_SITES.has(site) && !isVisit
  if (isForeignSite || (origin !== undefined && !isOwn(origin, request)))
    throw new WalcastError('FOREIGN_PAGE')
  const isOfPage = hasCookie || origin !== undefined || site !== undefined
  if (isOfPage && !READS.has(method) && headerOf(request, CONSOLE_HEADER) !== '1')
    throw new WalcastError('FOREIGN_PAGE')
}

/**
 * By the name under which the browser asked, which Access judges. Behind a proxy that ends TLS the
 * schemes differ, and the browser has compared the origins itself.
 */
function isOwn(origin: string, request: IncomingMessage): boolean {
  const [, scheme, host] = /^(https?):\/\/([^/]+)$/.exec(origin) ?? []
  if (host === undefined || host !== headerOf(request, 'host')?.toLowerCase()) return false
  const isSameScheme = scheme === (isOverTls(request) ? 'https' : 'http')
  return isSameScheme || headerOf(request, 'sec-fetch-site') === 'same-origin'
}
