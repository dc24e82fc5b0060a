/** `walcast status`: where a node stands. */

import type { ApplicationStatus } from '../api/applicationStatus.ts'
import type { PlaceReport } from '../api/backupStatus.ts'
import { AWAY } from '../api/clusterOverview.ts'
import type { DatabaseStatus, DivergedStatus, ScrubReport } from '../api/databaseStatus.ts'
import { electionLine } from '../api/electionLine.ts'
import { FAILED_READ_OUTCOMES, type FailedReadsReport } from '../api/failedReads.ts'
import type { NodeStatus } from '../api/nodeStatus.ts'
import type { SnapshotReport } from '../api/snapshotStatus.ts'
import type { ReplicaStatus } from '../feed/replicaStatus.ts'
import { sizeText } from '../health/causeText.ts'
import { STATUS } from './answerShapes.ts'
import { auditTable } from './audit.ts'
import { nodeHelp } from './commandArguments.ts'
import { placeText } from './leadershipText.ts'
import { pauseText } from './pauseText.ts'
import {
  formatBytes,
  formatMs,
  lines,
  look as lookAt,
  severalDatabases,
  shown,
} from './queryCommand.ts'
import { moodOf } from './stateMood.ts'
import { type Cell, table } from './table.ts'
import { FULL_LOOK, type Look, timeText } from './terminalLook.ts'
import { watchHelp } from './watch.ts'

const HELP = `walcast status [NODE] [--db FILE] [--json] [--watch]

Shows where a node stands: role, position, size, its replicas, its archive, and why it lags or its
WAL grows.

${nodeHelp(9)}
  --json      print the answer of /_walcast/status unchanged
${watchHelp(9)}
`

/** An older node has no `databases`. */
type SeenStatus = Omit<NodeStatus, 'databases'> & Partial<Pick<NodeStatus, 'databases'>>

type Pairs = readonly (readonly [string, string])[]

const REPLICA_COLUMNS = [
  'replica',
  'address',
  { heading: 'txid', isNumber: true },
  { heading: 'lag', isNumber: true },
  'state',
  'last seen',
]
/** How many of the last entries are shown; walcast audit shows more. */
const AUDIT_LINES = 3

export function runStatus(args: readonly string[]): Promise<number> {
  return lookAt<SeenStatus>(
    { name: 'status', path: '/_walcast/status', help: HELP, shape: STATUS, format: statusText },
    args,
  )
}

export function statusText(status: SeenStatus, look: Look = FULL_LOOK): string {
  const head: Pairs = [['node', status.node]]
  const several = severalDatabases(status)
  const text =
    several.length > 0
      ? lines([...head, ...nodePairs(status), ...endPairs(status)], look) +
        several.map((each) => databaseText(each, look)).join('')
      : lines(
          [
            ...head,
            ...positionPairs(status),
            ...nodePairs(status),
            ...conditionPairs(status),
            ...endPairs(status),
          ],
          look,
        ) + replicas(status, look)
  const audit = (status.audit ?? []).slice(-AUDIT_LINES)
  return audit.length > 0 ? `${text}\n${auditTable(audit, look)}` : text
}

function databaseText([name, status]: readonly [string, DatabaseStatus], look: Look): string {
  const pairs = [...positionPairs(status), ...conditionPairs(status)]
  return `\ndatabase ${shown(name)}\n${lines(pairs, look)}${replicas(status, look)}`
}

/** Where a database stands. */
function positionPairs(status: DatabaseStatus): Pairs {
  const { db, role, state, roleSince, pages, pageSize, lag } = status
  const pairs: Pairs = [
    ['role', `${role} (${state})${roleSince ? ` since ${roleSince}` : ''}`],
    ['position', `${status.epoch}-${status.txid}`],
    ['checksum', status.checksum || '-'],
    ['database', `${db}, ${pages} pages of ${pageSize} bytes (${formatBytes(pages * pageSize)})`],
    ['wal', walText(status)],
    ['leader', status.leader || 'none known'],
  ]
  if (role === 'leader') return pairs
  const behind = formatMs(lag.lagMs)
  return [...pairs, ['lag', lag.connected ? behind : `not connected, ${behind} behind`]]
}

/** What a database goes through, and what it has gone through. */
function conditionPairs(status: DatabaseStatus): Pairs {
  const { putBack, sync, follows, leader, scrub, lastError } = status
  const pairs: [string, string][] = []
  if (putBack)
    pairs.push(['put back', `${putBack.at}: ${putBack.reason}; goes on from ${putBack.position}`])
  if (sync) pairs.push(['copying', `${sync.total - sync.remaining} of ${sync.total} pages`])
  if (follows && follows !== leader) pairs.push(['follows', follows])
  for (const kept of status.diverged ?? []) pairs.push(['kept aside', keptLine(status.db, kept)])
  for (const place of status.backup?.places ?? []) pairs.push(['archive', archiveLine(place)])
  if (status.snapshots) pairs.push(['snapshot', snapshotLine(status.snapshots)])
  if (scrub) pairs.push(['scrub', scrubLine(scrub)])
  if (lastError) pairs.push(['last error', `${lastError.code}: ${lastError.message}`])
  return pairs
}

function nodePairs({ node, application, election, paused, members = [] }: SeenStatus): Pairs {
  const others = members.filter((member) => member.node !== node)
  return [
    ...(election ? [['failover', electionLine(election)] as const] : []),
    ...(paused ? [['role changes', `PAUSED ${pauseText(paused)}`] as const] : []),
    ...(application ? [['application', applicationLine(application)] as const] : []),
    ...others.map((member) => ['member', placeText(member)] as const),
  ]
}

function endPairs({ failedReads, causes, version }: SeenStatus): Pairs {
  return [
    ...(failedReads ? [['failed reads', failedReadsLine(failedReads)] as const] : []),
    ...causes.map(({ code, text }) => ['cause', `${code}: ${text}`] as const),
    ['version', version],
  ]
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
}: Pick<DatabaseStatus, 'walBytes'> & Partial<DatabaseStatus>): string {
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

/** What a place can restore, and what it waits for. */
function archiveLine(report: PlaceReport): string {
  const { place, isArchiving, restorableUntil, behindMs = 0, lastError, drillFailure } = report
  const until = restorableUntil
    ? `restorable until ${restorableUntil.position} of ${restorableUntil.at}`
    : 'nothing to restore yet'
  const behind = behindMs > 0 ? `, ${formatMs(behindMs)} behind` : ', level'
  const now = !isArchiving ? `, ${archivistText(report)}` : restorableUntil ? behind : ''
  const failed = lastError ? `; ${lastError.code}: ${lastError.message}` : ''
  const drill = drillFailure
    ? `; the last drill failed: ${drillFailure.code}: ${drillFailure.message}`
    : ''
  const stands = `${until}${lastError && behindMs === 0 ? '' : now}${proofText(report)}`
  return `${place}: ${stands}${failed}${drill}`
}

function archivistText({ archivist, isAwaitingReplica }: PlaceReport): string {
  if (archivist !== undefined) return `${archivist} archives`
  return isAwaitingReplica ? 'waiting for a replica to archive' : 'another node archives'
}

function proofText({ proven, checked }: PlaceReport): string {
  if (proven) return `, proven until ${proven.position}`
  return checked ? `, files checked until ${checked.position}` : ''
}

function snapshotLine({ place, last, lastError }: SnapshotReport): string {
  const made = last ? `${last.name} of ${last.at}, ${sizeText(last.bytes)}` : 'none yet'
  return `${place}: ${made}${lastError ? `; ${lastError.code}: ${lastError.message}` : ''}`
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

/** On a leader, and on a replica that feeds others. */
function replicas(status: DatabaseStatus, look: Look): string {
  if (status.replicas.length === 0) return status.role === 'leader' ? '\nno replicas yet\n' : ''
  const rows = status.replicas.map((replica): Cell[] => [
    replica.node,
    replica.address,
    replica.txid === null ? 'unknown' : String(replica.txid),
    formatMs(replica.lagMs),
    stateCell(replica),
    timeText(replica.lastSeen, look),
  ])
  return `\n${table(REPLICA_COLUMNS, rows, look)}`
}

function stateCell({ connected, state, via }: ReplicaStatus): Cell {
  const now = connected ? state : AWAY
  return { text: via ? `${now} via ${via}` : now, mood: moodOf(now) }
}
