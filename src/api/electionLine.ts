/** What a node tells of automatic failover in one line, for terminals and the console. */
import type { ElectionReport } from './electionReport.ts'

export function electionLine(report: ElectionReport): string {
  const { validForMs } = report
  const who = validForMs === null ? followerText(report) : leaderText(report, validForMs)
  return `${who}; ${serviceText(report)}`
}

/** 1.3 s, without a fraction from 10 s on. */
export function secondsText(ms: number): string {
  const digits = ms < 10_000 && ms % 1000 !== 0 ? 1 : 0
  return `${(ms / 1000).toFixed(digits)} s`
}

/** Whether a leader may not let anybody write: its lease is over, and not every member agrees. */
export function isLeaseOver({ validForMs }: Pick<ElectionReport, 'validForMs'>): boolean {
  return validForMs === 0
}

function leaderText({ isByAgreement, disagreed, epoch }: ElectionReport, forMs: number): string {
  if (forMs === 0)
    return `LEASE OVER: nobody may write here${disagreed === null ? '' : ` (${disagreed})`}`
  const how = isByAgreement ? 'by agreement of all members' : 'by its lease'
  const where = epoch === null ? '' : `, in epoch ${epoch}`
  return `this node leads ${how}${where}, for ${secondsText(forMs)} unless renewed`
}

function followerText({ isHeld, node, epoch, notPromoted, awayForMs }: ElectionReport): string {
  const last = node === null ? '' : ` (${node} had it last)`
  const why = notPromoted === null ? '' : `; not promoted: ${notPromoted}`
  if (awayForMs !== null) return `not known who holds the lease${last}`
  if (!isHeld) return `no node holds the lease${last}${why}`
  const where = epoch === null ? '' : `, in epoch ${epoch}`
  return `${node ?? 'a node that this one cannot read'} holds the lease${where}`
}

function serviceText({ service, ttlMs, awayForMs, awayBecause }: ElectionReport): string {
  if (awayForMs === null) return `${service}, ttl ${secondsText(ttlMs)}`
  const forText = secondsText(Math.floor(awayForMs / 1000) * 1000)
  return `lock service AWAY for ${forText}: ${awayBecause ?? 'it does not answer'}`
}
