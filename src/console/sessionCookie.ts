/**
 * The cookie that carries a session of the console. Browsers do not tell the ports of a host apart,
 * so its name has the node in it: two nodes of one host do not end each other's sessions.
 *
 * `__Secure-` lets only TLS set it (RFC 6265bis, section 4.1.3). `__Host-` would want the path `/`,
 * and so would send it to the application's paths.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { CONSOLE_PATH } from '../api/consoleSession.ts'

const NAME_CHARS = 12
/** Longer headers are not looked into. */
const MAX_COOKIE_CHARS = 16 * 1024

export function isOverTls(request: IncomingMessage): boolean {
  return (request.socket as TLSSocket).encrypted === true
}

/** `isTls`: whether the page came over TLS. */
export function sessionCookieName(node: string, isTls: boolean): string {
  const of = createHash('sha256').update(node).digest('hex').slice(0, NAME_CHARS)
  return `${isTls ? '__Secure-' : ''}walcast-${of}`
}

/** Value of `Set-Cookie`. Without an age: the browser forgets it when it ends. */
export function sessionCookie(name: string, text: string, isTls: boolean): string {
  return `${name}=${text}; ${attributes(isTls)}`
}

/** The same, to take it back. */
export function endedCookie(name: string, isTls: boolean): string {
  return `${name}=; ${attributes(isTls)}; Max-Age=0`
}

/** The value of the first cookie of that name in a `Cookie` header. */
export function cookieIn(header: string | undefined, name: string): string | undefined {
  if (header === undefined || header.length > MAX_COOKIE_CHARS) return undefined
  const found = header.split(';').find((pair) => pair.trimStart().startsWith(`${name}=`))
  return found?.slice(found.indexOf('=') + 1).trim()
}

function attributes(isTls: boolean): string {
  return `Path=${CONSOLE_PATH}; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}`
}
