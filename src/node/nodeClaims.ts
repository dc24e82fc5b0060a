/** Tells what other nodes claim from what this node knows itself, and counts what it refuses. */
import type { Logger } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Metrics } from '../health/metrics.ts'
import { monotonicMs } from '../platform/time.ts'
import { UNKNOWN_ADDRESS } from '../proxy/clientAddress.ts'
import { type ClaimKind, Claims } from '../security/claims.ts'
import type { TlsFrontOptions } from '../server/tlsFront.ts'
import type { StrangerJournal } from './strangerJournal.ts'

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
const UNBELIEVED = 'it does not believe the certificate of this node'

/** Counts, and tells the operator, who answers in place of a node without being one. */
export function newUnprovenReport(
  metrics: Metrics,
  log: Logger,
  journal: Pick<StrangerJournal, 'refused'>,
): (address: string, why: string) => void {
  const count = metrics.onPeerUnproven()
  const warnedMs = new Map<string, number>()
  return (address, why) => {
    count()
    journal.refused('known', address, why)
    const nowMs = monotonicMs()
    if (nowMs - (warnedMs.get(address) ?? Number.NEGATIVE_INFINITY) < UNPROVEN_PAUSE_MS) return
    warnedMs.delete(address)
    warnedMs.set(address, nowMs)
    const [oldest] = warnedMs.keys()
    if (warnedMs.size > MAX_UNPROVEN) warnedMs.delete(oldest)
    log.warn({ address, why }, 'what answers at the address of a node does not prove to be one')
  }
}

/**
 * Counts failed handshakes. The audit log hears of those whose other side does not believe this
 * node's certificate: a member with another authority, or a clock that is wrong. What breaks off
 * or speaks something else is a scanner or a browser.
 */
export function newHandshakeReport(
  metrics: Metrics,
  journal: Pick<StrangerJournal, 'refused'>,
): TlsFrontOptions['onFailed'] {
  const count = metrics.onHandshakeFailed()
  return (why, address = UNKNOWN_ADDRESS) => {
    count(why)
    if (why === 'certificate') journal.refused('stranger', address, UNBELIEVED)
  }
}
