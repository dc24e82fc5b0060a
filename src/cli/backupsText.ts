/** What `walcast backups` says, to a person and to a program. */
import type { BadFile, CheckedFiles } from '../backup/archiveCheck.ts'
import type { ArchiveSummary, Gap, HistorySummary, Stretch } from '../backup/archiveSummary.ts'
import type { NotedFile } from '../backup/checkedNotes.ts'
import type { History } from '../backup/histories.ts'
import type { ArchivedPosition } from '../backup/historyPositions.ts'
import type { LockedFiles } from '../backup/lockedFiles.ts'
import { momentText } from '../backup/moment.ts'
import type { NamedPoint } from '../backup/retention/namedPoints.ts'
import { formatBytes, formatMs } from './queryCommand.ts'
import { positionJson, textOf } from './restoreText.ts'
import { table } from './table.ts'
import { agoText, FULL_LOOK, type Look } from './terminalLook.ts'

/** Of `2026-11-30 14:02:07`. */
const SECONDS_CHARS = 19
/** Files that a text names. */
const MAX_NAMED = 20

export interface Backups {
  readonly place: string
  readonly summary: ArchiveSummary
  readonly points: readonly NamedPoint[]
  /** Files that are not sound. */
  readonly bad: readonly BadFile[]
  /** Others that are noted in the place as broken. */
  readonly noted: readonly NotedFile[]
  /** What no identity opens. */
  readonly locked: LockedFiles | undefined
  /** When every file was read. */
  readonly checked: CheckedFiles | undefined
}

export function backupsText(backups: Backups, look: Look = FULL_LOOK): string {
  const { place, summary, points, bad, noted, locked, checked } = backups
  const { cluster, db, files, bytes, histories } = summary
  const size = `${filesText(files)}, ${formatBytes(bytes)}`
  const head = `cluster ${cluster}, database ${db}: ${size} in ${place}`
  const parts = histories.map((history) => historyText(history, locked !== undefined, look))
  const broken = bad.slice(0, MAX_NAMED).map(({ error }) => `  ${error.message}`)
  const more = bad.length > MAX_NAMED ? [`  and ${bad.length - MAX_NAMED} more`] : []
  const verdict =
    bad.length > 0
      ? textOf([`NOT SOUND: ${bad.length} of ${filesText(files)}`, ...broken, ...more])
      : checked
        ? textOf([soundText(files, checked)])
        : ''
  const closed = locked ? textOf([lockedText(locked)]) : ''
  const named = points.length > 0 ? pointsText(points, summary, look) : ''
  const told = noted.length > 0 ? notedText(noted, look) : ''
  const blocks = [textOf([head]), ...parts, named, closed, told, verdict]
  return blocks.filter((part) => part !== '').join('\n')
}

function notedText(noted: readonly NotedFile[], look: Look): string {
  const rows = noted.slice(0, MAX_NAMED).map(({ name, about }) => {
    if (!about) return `  ${name}; the note itself is damaged`
    const by = about.by === '' ? 'walcast backups --verify' : about.by
    return `  ${name}: ${about.code}, found by ${by} at ${whenText(about.foundMs, look)}`
  })
  const more = noted.length > MAX_NAMED ? [`  and ${noted.length - MAX_NAMED} more`] : []
  return textOf([`NOTED AS BROKEN: ${filesText(noted.length)}`, ...rows, ...more])
}

function pointsText(points: readonly NamedPoint[], summary: ArchiveSummary, look: Look): string {
  const rows = points.map((point) => {
    const epoch = epochOf(point, summary)
    const { name, incarnation, txid, namedMs } = point
    const position = epoch === undefined ? `txid ${txid} of ${incarnation}` : `${epoch}-${txid}`
    return [name, position, look.isWide ? momentText(namedMs) : agoText(look.nowMs - namedMs)]
  })
  return table([{ heading: 'named', least: 24 }, 'position', 'since'], rows, look)
}

/** Whoever restores gives such a time, so it is not relative: in local time, to the second. */
function whenText(timeMs: number, { isWide }: Look): string {
  const text = momentText(timeMs)
  return isWide ? text : text.slice(0, SECONDS_CHARS)
}

/** Undefined for a position of another cluster, or one in the middle of a history left behind. */
function epochOf(point: NamedPoint, { histories }: ArchiveSummary): number | undefined {
  const heads = histories.flatMap(({ spans }) => spans.map(({ head }) => head))
  return heads.find(({ id }) => id === point.incarnation)?.epoch
}

function soundText(files: number, { unopened }: CheckedFiles): string {
  const sound = `every checksum in ${filesText(files)} is right`
  return unopened === 0 ? sound : `${sound}; ${unopened} of them checked, not opened`
}

function lockedText({ recipients, writtenMs }: LockedFiles): string {
  return (
    `ENCRYPTED for ${recipients.join(', ')}: the newest file that was not opened was written at ` +
    `${momentText(writtenMs)}; give --identity FILE to see times and gaps`
  )
}

function filesText(files: number): string {
  return files === 1 ? '1 file' : `${files} files`
}

/** Gaps cannot be told from files that are missing when some are locked. */
function historyText(history: HistorySummary, isLocked: boolean, look: Look): string {
  const { isNewest, spans, stretches, gaps, snapshots } = history
  const nodes = [...new Set(spans.map(({ head }) => head.node))].join(', ')
  const last = spans[spans.length - 1]
  const title = isNewest
    ? `the history that goes on, written by ${nodes}`
    : `left behind: --incarnation ${last.head.id}, written by ${nodes}`
  const rows = stretches.map(({ from, to, everyMs }) => [
    whenText(from.timeMs, look),
    whenText(to.timeMs, look),
    place(from),
    place(to),
    grainText(everyMs),
  ])
  const shownTable =
    rows.length === 0
      ? isLocked
        ? textOf([`positions ${namedText(spans)}, as the names of files tell`])
        : 'nothing can be restored\n'
      : table(['from', 'to', 'position', 'to', 'restorable'], rows, look)
  const [first, newest] = [snapshots[0], snapshots[snapshots.length - 1]]
  const own =
    snapshots.length === 0
      ? isLocked
        ? []
        : ['no snapshots of its own']
      : snapshots.length === 1
        ? [`1 snapshot, at ${place(first)}`]
        : [`${snapshots.length} snapshots, from ${place(first)} to ${place(newest)}`]
  const missing = isLocked ? [] : gaps.map(gapText)
  return `${textOf([title])}${shownTable}${textOf([...own, ...missing])}`
}

function grainText(everyMs: number): string {
  return everyMs === 0 ? 'every position' : `about every ${formatMs(everyMs)}`
}

function namedText(spans: History): string {
  const [first, last] = [spans[0], spans[spans.length - 1]]
  return `${first.head.epoch}-${first.first} to ${last.head.epoch}-${last.last}`
}

function gapText({ after, before }: Gap): string {
  if (!after && !before) return 'MISSING: no snapshot leads to these positions'
  const from = after ? `after ${place(after)} of ${momentText(after.timeMs)}` : 'all'
  const to = before ? `, before ${place(before)} of ${momentText(before.timeMs)}` : ', to the end'
  return `MISSING: ${from}${to}`
}

function place({ epoch, txid }: ArchivedPosition): string {
  return `${epoch}-${txid}`
}

export function backupsJson(backups: Backups): unknown {
  const { place: where, summary, points, bad, noted, locked, checked } = backups
  const { histories, ...about } = summary
  return {
    place: where,
    ...about,
    histories: histories.map(historyJson),
    named: points.map((point) => ({
      name: point.name,
      incarnation: point.incarnation,
      epoch: epochOf(point, summary) ?? null,
      txid: point.txid,
      namedAt: new Date(point.namedMs).toISOString(),
    })),
    locked: locked
      ? { recipients: locked.recipients, writtenAt: new Date(locked.writtenMs).toISOString() }
      : null,
    verified: checked !== undefined,
    unopened: checked?.unopened ?? null,
    bad: bad.map(({ name, error }) => ({ name, code: error.code, message: error.message })),
    noted: noted.map(({ name, about }) => ({
      name,
      code: about ? `WALCAST_${about.code}` : null,
      foundAt: about ? new Date(about.foundMs).toISOString() : null,
      by: about?.by ?? null,
    })),
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
