/** What one client may rely on: reads never go back, and it sees its own writes. */
import { describe, type Exchange, epochOf, isLasting, type Losses, outcomeOf } from './history.ts'

/** An answer with the version of a register. */
export type Seen = Exchange & { readonly version: number }

/** The exchanges of one session are in order. */
export function checkSessions(
  record: readonly Exchange[],
  losses: Losses,
): { wentBack: string[]; ownWritesMissed: string[] } {
  const wentBack: string[] = []
  const ownWritesMissed: string[] = []
  /** The newest answers, by register and by what can be compared. */
  const newest = new Map<string, Seen>()
  for (const exchange of record) {
    if (!isSeen(exchange)) continue
    const of = `${exchange.session} ${exchange.key}`
    const within = losses === 'none' ? of : `${of} ${epochOf(exchange)}`
    for (const scope of new Set([of, within])) {
      const before = newest.get(scope)
      if (before && isOlder(exchange, before)) {
        const list = before.kind === 'set' && exchange.kind === 'get' ? ownWritesMissed : wentBack
        list.push(`${describe(exchange)} after ${describe(before)}`)
        break
      }
    }
    // Only a write reports that another node has it; what was read may be lost with the leader.
    const isKnownEverywhere =
      losses === 'none' || (exchange.kind === 'set' && isLasting(exchange, losses))
    const scopes = isKnownEverywhere ? [of, within] : [within]
    for (const scope of scopes) {
      const before = newest.get(scope)
      if (!before || exchange.version > before.version) newest.set(scope, exchange)
    }
  }
  return { wentBack, ownWritesMissed }
}

function isSeen(exchange: Exchange): exchange is Seen {
  return exchange.version !== undefined && outcomeOf(exchange) === 'done'
}

/**
 * A read may show the same version again, a write may not. A read marked stale breaks no promise.
 */
function isOlder(exchange: Seen, before: Seen): boolean {
  if (exchange.kind === 'set') return exchange.version <= before.version
  return exchange.stale === undefined && exchange.version < before.version
}
