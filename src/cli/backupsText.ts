/** What `walcast backups` says, to a person and to a program. */
import type { BadFile } from '../backup/archiveCheck.ts'
import type { ArchiveSummary, Gap, HistorySummary, Stretch } from '../backup/archiveSummary.ts'
import type { ArchivedPosition } from '../backup/historyPositions.ts'
import { timeText } from '../backup/restoreTarget.ts'
import { formatBytes, formatMs, table } from './queryCommand.ts'
import { positionJson, textOf } from './restoreText.ts'

/** Files that a text names. */
const MAX_NAMED = 20

export interface Backups {
  readonly place: string
  readonly summary: ArchiveSummary
  /** Files that are not sound. */
  readonly bad: readonly BadFile[]
  /** Whether every file was read. */
  readonly isVerified: boolean
}

export function backupsText({ place, summary, bad, isVerified }: Backups): string {
  const { cluster, db, files, bytes, histories } = summary
  const size = `${filesText(files)}, ${formatBytes(bytes)}`
  const head = `cluster ${cluster}, database ${db}: ${size} in ${place}`
  const parts = histories.map(historyText)
  const named = bad.slice(0, MAX_NAMED).map(({ error }) => `  ${error.message}`)
  const more = bad.length > MAX_NAMED ? [`  and ${bad.length - MAX_NAMED} more`] : []
  const verdict =
    bad.length > 0
      ? textOf([`NOT SOUND: ${bad.length} of ${filesText(files)}`, ...named, ...more])
      : isVerified
        ? `every checksum in ${filesText(files)} is right\n`
        : ''
  return [textOf([head]), ...parts, ...(verdict ? [verdict] : [])].join('\n')
}

function filesText(files: number): string {
  return files === 1 ? '1 file' : `${files} files`
}

function historyText(history: HistorySummary): string {
  const { isNewest, spans, stretches, gaps, snapshots } = history
  const nodes = [...new Set(spans.map(({ head }) => head.node))].join(', ')
  const last = spans[spans.length - 1]
  const title = isNewest
    ? `the history that goes on, written by ${nodes}`
    : `left behind: --incarnation ${last.head.id}, written by ${nodes}`
  const rows = stretches.map(({ from, to, everyMs }) => [
    timeText(from.timeMs),
    timeText(to.timeMs),
    place(from),
    place(to),
    everyMs === 0 ? 'every position' : `about every ${formatMs(everyMs)}`,
  ])
  const shownTable =
    rows.length === 0
      ? 'nothing can be restored\n'
      : table(['from', 'to', 'position', 'to', 'restorable'], rows)
  const [first, newest] = [snapshots[0], snapshots[snapshots.length - 1]]
  const own =
    snapshots.length === 0
      ? 'no snapshots of its own'
      : snapshots.length === 1
        ? `1 snapshot, at ${place(first)}`
        : `${snapshots.length} snapshots, from ${place(first)} to ${place(newest)}`
  return `${textOf([title])}${shownTable}${textOf([own, ...gaps.map(gapText)])}`
}

function gapText({ after, before }: Gap): string {
  if (!after && !before) return 'MISSING: no snapshot leads to these positions'
  const from = after ? `after ${place(after)} of ${timeText(after.timeMs)}` : 'all'
  const to = before ? `, before ${place(before)} of ${timeText(before.timeMs)}` : ', to the end'
  return `MISSING: ${from}${to}`
}

function place({ epoch, txid }: ArchivedPosition): string {
  return `${epoch}-${txid}`
}

export function backupsJson({ place: where, summary, bad, isVerified }: Backups): unknown {
  const { histories, ...about } = summary
  return {
    place: where,
    ...about,
    histories: histories.map(historyJson),
    verified: isVerified,
    bad: bad.map(({ name, error }) => ({ name, code: error.code, message: error.message })),
  }
}

function historyJson({ isNewest, spans, stretches, gaps, snapshots }: HistorySummary): unknown {
  const until = stretches[stretches.length - 1]?.to
  return {
    newest: isNewest,
    incarnations: spans.map(({ head, first, last }) => ({
      incarnation: head.id,
      epoch: head.epoch,
      node: head.node,
      fromTxid: first,
      toTxid: last,
    })),
    restorable: stretches.map(stretchJson),
    restorableUntil: until ? positionJson(until) : null,
    gaps: gaps.map(({ after, before }) => ({
      after: after ? positionJson(after) : null,
      before: before ? positionJson(before) : null,
    })),
    snapshots: snapshots.map(positionJson),
  }
}

function stretchJson({ from, to, everyMs }: Stretch): unknown {
  return { from: positionJson(from), to: positionJson(to), everyCommit: everyMs === 0, everyMs }
}
