/** The demo's pictures: progress of the first copy, the live table, and the proof. */
import type { LagReport } from '../../api/nodeStatus.ts'
import { formatBytes, formatMs } from '../queryCommand.ts'
import type { Counts } from './metrics.ts'
import type { Interruption } from './result.ts'

/** A node at one moment. */
export interface NodeRow {
  readonly name: string
  readonly note: string
  /** Undefined while the node is away. */
  readonly lag: LagReport | undefined
  readonly counts: Counts
}

const BAR_CELLS = 30
const HEADING = ['', 'state', 'txid', 'behind', 'lag p50', 'lag p99', 'frames', 'bytes']
const FOOTNOTE =
  '  lag: from the leader noticing a commit to readers seeing it; last minute, catching up included'
/** Columns of words; numbers are aligned to the right. */
const WORDS = new Set([0, 1])

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

export interface CopyShare {
  readonly name: string
  /** From 0 to 1. */
  readonly share: number
}

/** Bars of the first copy. */
export function copyPicture(copies: readonly CopyShare[]): string {
  return copies
    .map(({ name, share }) => `  ${name}  ${bar(share)} ${percent(share).padStart(5)}\n`)
    .join('')
}

function bar(share: number): string {
  const full = Math.round(share * BAR_CELLS)
  return '#'.repeat(full).padEnd(BAR_CELLS, '.')
}

/** The same in one line, for logs. */
export function copyLine(copies: readonly CopyShare[]): string {
  return `first copy: ${copies.map(({ name, share }) => `${name} ${percent(share)}`).join(', ')}`
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`
}

export function livePicture(writes: number, rows: readonly NodeRow[]): string {
  const cells = rows.map((row) => cellsOf(row))
  const writer = ['writer', 'writing', `${formatCount(writes)} tx`, '', '', '', '', '']
  return `\n${columns([HEADING, writer, ...cells])}\n${FOOTNOTE}\n`
}

/** The same in one line, for logs. */
export function liveLine(writes: number, rows: readonly NodeRow[]): string {
  const nodes = rows.map(({ name, note, lag }) => {
    if (!lag || note) return `${name} ${note || 'away'}`
    const times = lag.count > 0 ? ` lag p50 ${formatMs(lag.p50Ms)} p99 ${formatMs(lag.p99Ms)}` : ''
    return `${name} txid ${formatCount(lag.txid)}${times}`
  })
  return [`writer ${formatCount(writes)} tx`, ...nodes].join(' | ')
}

function cellsOf({ name, note, lag, counts }: NodeRow): string[] {
  const amounts = [formatCount(counts.frames), formatBytes(counts.bytes)]
  if (!lag || note) return [name, note || 'away', '-', '-', '-', '-', ...amounts]
  const measured = lag.role !== 'leader' && lag.count > 0
  const times = measured ? [formatMs(lag.p50Ms), formatMs(lag.p99Ms)] : ['', '']
  const behind = lag.role === 'leader' ? '' : formatCount(lag.txidLag)
  return [name, stateOf(lag), formatCount(lag.txid), behind, ...times, ...amounts]
}

function stateOf(lag: LagReport): string {
  if (lag.role === 'leader') return 'leading'
  return lag.connected ? 'following' : 'leader away'
}

/** Columns with a heading, indented by two. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = HEADING.map((_, column) =>
    Math.max(MIN_WIDTHS[column], ...rows.map((row) => row[column].length)),
  )
  const pad = (cell: string, i: number) =>
    WORDS.has(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
  return rows.map((row) => `  ${row.map(pad).join('  ').trimEnd()}\n`).join('')
}

/** Keep the columns in place while their contents change. */
const MIN_WIDTHS = [9, 11, 9, 6, 8, 8, 7, 9]

/** A lapse of time for people, in three digits at most. */
export function formatLapse(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

export function interruptionText({ node, downMs, levelMs, resumed }: Interruption): string {
  const how = resumed ? 'resumed where it stopped' : 'started over: pages were copied or compared'
  const [down, level] = [downMs, levelMs].map(formatLapse)
  return `${node} is back after ${down} and ${how}; all level ${level} later`
}
