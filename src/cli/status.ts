/** `walcast status`: where a node stands. */
import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { AuditEntry } from '../api/audit.ts'
import { FAILED_READ_OUTCOMES, type FailedReadsReport } from '../api/failedReads.ts'
import type { DivergedStatus, NodeStatus, ScrubReport } from '../api/nodeView.ts'
import type { MemberState } from '../api/roleAnswers.ts'
import { STATUS } from './answerShapes.ts'
import { auditTable } from './audit.ts'
import { placeText } from './leadershipText.ts'
import { formatBytes, formatMs, lines, look, table } from './queryCommand.ts'

const HELP = `walcast status [--node URL] [--json]

Shows where a node stands: role, position, size, its replicas, and why it lags or its WAL grows.

  --node URL   the node's private side [WALCAST_NODE, else 127.0.0.1:8470]
  --json       print the answer of /_walcast/status unchanged
`

/** With the fields of a node that can change its role. */
type SeenStatus = NodeStatus & {
  readonly roleSince?: string
  readonly members?: readonly MemberState[]
  readonly audit?: readonly AuditEntry[]
}

/** How many of the last entries are shown; walcast audit shows more. */
const AUDIT_LINES = 3

export function runStatus(args: readonly string[]): Promise<number> {
  return look<SeenStatus>(
    { path: '/_walcast/status', help: HELP, shape: STATUS, format: statusText },
    args,
  )
}

export function statusText(status: SeenStatus): string {
  const { lag, sync, lastError, roleSince } = status
  const pairs: [string, string][] = [
    ['node', status.node],
    ['role', `${status.role} (${status.state})${roleSince ? ` since ${roleSince}` : ''}`],
    ['position', `${status.epoch}-${status.txid}`],
    ['checksum', status.checksum || '-'],
    ['database', `${status.db}, ${sizeText(status)}`],
    ['wal', walText(status)],
    ['leader', status.leader || 'none known'],
  ]
  if (status.role !== 'leader')
    pairs.push([
      'lag',
      lag.connected ? formatMs(lag.lagMs) : `not connected, ${formatMs(lag.lagMs)} behind`,
    ])
  if (status.application) pairs.push(['application', applicationLine(status.application)])
  if (status.putBack)
    pairs.push([
      'put back',
      `${status.putBack.at}: ${status.putBack.reason}; goes on from ${status.putBack.position}`,
    ])
  if (sync) pairs.push(['copying', `${sync.total - sync.remaining} of ${sync.total} pages`])
  if (status.follows && status.follows !== status.leader) pairs.push(['follows', status.follows])
  for (const member of status.members ?? [])
    if (member.node !== status.node) pairs.push(['member', placeText(member)])
  for (const kept of status.diverged ?? []) pairs.push(['kept aside', keptLine(status.db, kept)])
  if (status.scrub) pairs.push(['scrub', scrubLine(status.scrub)])
  if (status.failedReads) pairs.push(['failed reads', failedReadsLine(status.failedReads)])
  if (lastError) pairs.push(['last error', `${lastError.code}: ${lastError.message}`])
  for (const { code, text } of status.causes) pairs.push(['cause', `${code}: ${text}`])
  pairs.push(['version', status.version])
  const feeds = status.role === 'leader' || status.replicas.length > 0
  const audit = (status.audit ?? []).slice(-AUDIT_LINES)
  const changes = audit.length > 0 ? `\n${auditTable(audit)}` : ''
  return lines(pairs) + (feeds ? `\n${replicas(status)}` : '') + changes
}

function sizeText({ pages, pageSize }: NodeStatus): string {
  return `${pages} pages of ${pageSize} bytes (${formatBytes(pages * pageSize)})`
}

function applicationLine({ url, state, accepts, detail, held }: ApplicationStatus): string {
  const what = state === 'up' && !accepts ? 'not taking requests' : state
  const waiting = held > 0 ? `, ${held} ${held === 1 ? 'request waits' : 'requests wait'}` : ''
  return `${url}, ${what}${detail ? ` (${detail})` : ''}${waiting}`
}

/** A WAL that starts over keeps the size of its file. */
function walText({
  walBytes,
  walFileBytes,
}: Pick<NodeStatus, 'walBytes'> & Partial<NodeStatus>): string {
  const file = walFileBytes === undefined ? '' : `, file ${formatBytes(walFileBytes)}`
  return `${formatBytes(walBytes)} in use${file}`
}

function scrubLine({ background, lastPassAt, running, rotten, rottenPages }: ScrubReport): string {
  const last = lastPassAt ? `all pages read at ${lastPassAt}` : background ? 'no pass yet' : 'off'
  const now = running ? `, now at page ${running.page} of ${running.pages}` : ''
  const bad = rottenPages > 0 ? `, ${rottenPages} rotten pages, such as ${rotten[0]}` : ''
  return `${last}${now}${bad}`
}

function failedReadsLine({ paths, ...counts }: FailedReadsReport): string {
  const all = FAILED_READ_OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0)
  const most = paths.map(({ path, count }) => `${path} (${count})`).join(', ')
  const where =
    paths.length > 0 ? `, most at ${most}; --forward sends such paths there at once` : ''
  const over = counts.limited > 0 ? `; ${counts.limited} were over --replay-rate` : ''
  return `${counts.answered} of ${all} answered by the leader${where}${over}`
}

function keptLine(
  db: string,
  { name, position, rows, state, detail, isDamaged }: DivergedStatus,
): string {
  const differ = rows
    ? `, ${rows.removed} rows that the leader lacks, ${rows.changed} that differ there`
    : ''
  const why = state === 'not compared' ? `, not compared: ${detail ?? 'see its about.json'}` : ''
  const doubt = isDamaged ? '; the copy was damaged, so these rows may be wrong' : ''
  return `${db}-walcast/diverged/${name}, at ${position}${differ}${why}${doubt}`
}

function replicas(status: NodeStatus): string {
  if (status.replicas.length === 0) return 'no replicas yet\n'
  const rows = status.replicas.map((replica) => [
    replica.node,
    replica.address,
    replica.txid === null ? 'unknown' : String(replica.txid),
    formatMs(replica.lagMs),
    `${replica.connected ? replica.state : 'away'}${replica.via ? ` via ${replica.via}` : ''}`,
    replica.lastSeen,
  ])
  return table(['replica', 'address', 'txid', 'lag', 'state', 'last seen'], rows)
}
