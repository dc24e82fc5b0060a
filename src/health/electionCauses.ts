/** What automatic failover cannot do at this moment. Pure: from its report to causes. */
import type { Cause } from '../api/cause.ts'
import { isLeaseOver } from '../api/electionLine.ts'
import type { ElectionReport } from '../api/electionReport.ts'
import { ageText } from './causeText.ts'

/** One call that failed is no news. */
const AWAY_MS = 1000

/** Undefined with --election static. */
export function electionCauses(report: ElectionReport | undefined): Cause[] {
  if (!report) return []
  return [...leaseOver(report), ...serviceAway(report), ...notPromoted(report)]
}

function leaseOver(report: ElectionReport): Cause[] {
  if (!isLeaseOver(report)) return []
  const { disagreed, awayForMs } = report
  const who = disagreed === null ? '' : ` (${disagreed})`
  const why =
    awayForMs === null
      ? 'another node may have it'
      : `the lock service is away, and not every member agrees${who}`
  const text =
    `this leader may not write: its lease is over; ${why}. It leads again as soon as it has the ` +
    'lease, and follows whoever takes it; see walcast cluster'
  return [{ code: 'lease-over', text }]
}

function serviceAway(report: ElectionReport): Cause[] {
  const { service, awayForMs, awayBecause, validForMs, isByAgreement } = report
  if (awayForMs === null || awayForMs < AWAY_MS) return []
  const awaySeconds = Math.floor(awayForMs / 1000)
  const what =
    validForMs === null
      ? 'this node is not promoted by itself meanwhile'
      : isByAgreement
        ? 'this leader goes on as long as every member agrees, and no node is promoted meanwhile'
        : isLeaseOver(report)
          ? 'no node is promoted meanwhile'
          : 'this leader goes on until its lease ends, then only if every member agrees'
  const text =
    `the lock service has not answered for ${ageText(awayForMs)} (${awayBecause ?? service}): ` +
    `${what}; repair it`
  return [{ code: 'lock-service-away', text, service, awaySeconds }]
}

function notPromoted({ notPromoted: why, awayForMs }: ElectionReport): Cause[] {
  // What was seen before the service went away tells nothing of now.
  if (why === null || awayForMs !== null) return []
  const text =
    `no node holds the lease, and this one was not promoted: ${why}. Start the node that is ` +
    'missing, or accept the loss: walcast promote --force'
  return [{ code: 'not-promoted', text }]
}
