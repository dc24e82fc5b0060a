/** Where a request goes. Its method and path decide, before anything of the application runs. */

/** `own`: walcast's paths, never the application's. */
export type Route = 'own' | 'local' | 'forward'

/** Prefix of walcast's own paths. */
const RESERVED = '/_walcast'
/**
 * The node answers these on the application's port too: load balancers ask where they send traffic.
 */
const HEALTH: ReadonlySet<string> = new Set(['/livez', '/readyz'])
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
/** A path that decoding or resolving could change. */
const NOT_PLAIN = /%|\/\.|\/\/|\\/
/** Decoded even if the bytes are no text: a server may do so. */
const ENCODED = /(?:%[0-9a-f]{2})+/gi

/**
 * Whether a method only reads, as RFC 9110, section 9.2.1 defines it. TRACE is left out: it shows
 * what was forwarded.
 */
export function isRead(method: string): boolean {
  return READS.has(method)
}

/**
 * The path of a request target (RFC 9112, section 3.2): without query, decoded, dot segments
 * resolved, slashes single. For comparing, not for sending.
 */
export function comparablePath(target: string): string {
  const path = target.split(/[?#]/, 1)[0]
  if (!NOT_PLAIN.test(path)) return path
  const decoded = path.replace(ENCODED, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  )
  const segments: string[] = []
  for (const segment of decoded.split(/[/\\]+/)) {
    if (segment === '..') segments.pop()
    else if (segment !== '.' && segment !== '') segments.push(segment)
  }
  const isFolder = /[/\\]\.{0,2}$/.test(decoded) && segments.length > 0
  return `/${segments.join('/')}${isFolder ? '/' : ''}`
}

export function isReserved(target: string): boolean {
  return isUnder(comparablePath(target), RESERVED)
}

/** Whether `path` is the prefix itself or lies below it: whole segments only. */
function isUnder(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
}

/** Whether a request target lies at or below one of the path prefixes. */
export function isUnderAny(target: string, prefixes: readonly string[]): boolean {
  if (prefixes.length === 0) return false
  const path = comparablePath(target)
  return prefixes.some((prefix) => isUnder(path, prefix))
}

export interface RouteRules {
  /** Path prefixes that go to the leader whatever the method. */
  readonly forward: readonly string[]
  /** ... and those that stay here. The longest prefix counts; of two equal ones `forward` does. */
  readonly local: readonly string[]
}

export class Routes {
  readonly #rules: readonly { readonly prefix: string; readonly route: Route }[]

  constructor({ forward, local }: RouteRules) {
    const rules = [
      ...forward.map((prefix) => ({ prefix, route: 'forward' as const })),
      ...local.map((prefix) => ({ prefix, route: 'local' as const })),
    ]
    this.#rules = rules.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  routeOf(method: string, target: string): Route {
    const path = comparablePath(target)
    if (HEALTH.has(path) || isUnder(path, RESERVED)) return 'own'
    return this.#ruled(path) ?? (isRead(method) ? 'local' : 'forward')
  }

  /**
   * Whether a rule, and not the method, says that this node answers requests for the target. It
   * then does so whatever becomes of its application.
   */
  staysHere(target: string): boolean {
    return this.#ruled(comparablePath(target)) === 'local'
  }

  #ruled(path: string): Route | undefined {
    return this.#rules.find(({ prefix }) => isUnder(path, prefix))?.route
  }
}
