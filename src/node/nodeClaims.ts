/** Tells what other nodes claim from what this node knows itself, and counts what it refuses. */
import type { Logger } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Metrics } from '../health/metrics.ts'
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
