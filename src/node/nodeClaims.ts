/** Tells what other nodes claim from what this node knows itself, and counts what it refuses. */
import type { Logger } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Metrics } from '../health/metrics.ts'
import { monotonicMs } from '../platform/time.ts'
import { type ClaimKind, Claims } from '../security/claims.ts'

/** `position`: where the database stands. Each kind of refusal is logged as a warning once. */
export function newClaims(
  nodeFile: Pick<NodeFile, 'record'>,
  position: () => Position,
  metrics: Metrics,
  log: Logger,
): Claims {
  const count = metrics.claims()
  const warned = new Set<ClaimKind>()
  const known = () => {
    const { epoch, txidCeiling } = nodeFile.record
    return { epoch, txid: Math.max(position().txid, txidCeiling) }
  }
  return new Claims(known, (kind, details) => {
    count(kind)
    log[warned.has(kind) ? 'debug' : 'warn'](
      { kind, ...details },
      'refused what another node claims; walcast_refused_claims_total counts more of the kind',
    )
    warned.add(kind)
  })
}

/** One warning for each address in this time. */
const UNPROVEN_PAUSE_MS = 60_000
const MAX_UNPROVEN = 256

/** Counts, and tells the operator, who answers in place of a node without being one. */
export function newUnprovenReport(
  metrics: Metrics,
  log: Logger,
): (address: string, why: string) => void {
  const count = metrics.onPeerUnproven()
  const warnedMs = new Map<string, number>()
  return (address, why) => {
    count()
    const nowMs = monotonicMs()
    if (nowMs - (warnedMs.get(address) ?? Number.NEGATIVE_INFINITY) < UNPROVEN_PAUSE_MS) return
    warnedMs.delete(address)
    warnedMs.set(address, nowMs)
    const [oldest] = warnedMs.keys()
    if (warnedMs.size > MAX_UNPROVEN) warnedMs.delete(oldest)
    log.warn({ address, why }, 'what answers at the address of a node does not prove to be one')
  }
}
