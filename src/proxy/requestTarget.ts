/** The forms that the target of a request may have (RFC 9112, section 3.2). */
import type { IncomingMessage } from 'node:http'

const ABSOLUTE = /^https?:\/\/(?:[^/?#@]*@)?([^/?#@]*)(.*)$/i

/**
 * Path with query. A request in absolute form (section 3.2.2) names this server before its path.
 */
export function targetOf({ url = '/', method }: IncomingMessage): string {
  if (url.startsWith('/')) return url
  const rest = ABSOLUTE.exec(url)?.[2]
  if (rest === undefined) return url
  if (rest === '' && method === 'OPTIONS') return '*'
  return rest.startsWith('/') ? rest : `/${rest}`
}

/**
 * The host that a target in absolute form names; it counts instead of the Host header. Undefined in
 * the other forms.
 */
export function targetHostOf({ url = '/' }: IncomingMessage): string | undefined {
  return url.startsWith('/') ? undefined : ABSOLUTE.exec(url)?.[1] || undefined
}
