/** What one client may rely on: reads that never go back, and that it sees what it wrote. */
import { describe, type Exchange, epochOf, isLasting, type Losses, outcomeOf } from './history.ts'

/** An answer that told the version of a register. */
export type Seen = Exchange & { readonly version: number }

/** Exchanges of one session come in the order in which it made them. */
export function checkSessions(
  record: readonly Exchange[],
  losses: Losses,
): { wentBack: string[]; ownWritesMissed: string[] } {
  const wentBack: string[] = []
  const ownWritesMissed: string[] = []
  /** The newest answers by what they can be compared with. */
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
    // Only a write says of itself that another node has it too; what was read may be gone with the
    // leader.
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
 * A read may show the same version again, a write may not. One that says what it lacks breaks no
 * promise.
 */
function isOlder(exchange: Seen, before: Seen): boolean {
  if (exchange.kind === 'set') return exchange.version <= before.version
  return exchange.stale === undefined && exchange.version < before.version
}
