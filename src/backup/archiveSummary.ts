/** What an archive can restore: its histories, the stretches of each, gaps and snapshots. */

import { type ArchiveName, isThinned } from '../../proto/archiveNames.ts'
import type { Archive } from './archive.ts'
import { isOfOneFile } from './contentFailures.ts'
import { type History, historiesOf, type Span } from './histories.ts'
import {
  type ArchivedPosition,
  type BadPieces,
  HistoryPositions,
  startOf,
} from './historyPositions.ts'
import { endOf, type Piece, pieceName, reachablePieces } from './restorePlan.ts'
import type { ClusterArchive } from './restoreTarget.ts'

/** Positions that follow each other without a gap. */
export interface Stretch {
  readonly from: ArchivedPosition
  readonly to: ArchivedPosition
  /** 0: every position that was captured; else positions are about so many ms apart. */
  readonly everyMs: number
}

export interface Gap {
  /** The last position before it, and the first one after it; undefined when none is left. */
  readonly after: ArchivedPosition | undefined
  readonly before: ArchivedPosition | undefined
}

export interface HistorySummary {
  /** Whether it is the one that goes on; else what was left behind. */
  readonly isNewest: boolean
  readonly spans: History
  readonly stretches: readonly Stretch[]
  readonly gaps: readonly Gap[]
  readonly snapshots: readonly ArchivedPosition[]
}

export interface ArchiveSummary {
  readonly cluster: string
  readonly db: string
  readonly files: number
  readonly bytes: number
  /** The newest one first. */
  readonly histories: readonly HistorySummary[]
}

/** Positions after the txid `from`, up to `to`, as files of `level` have them. */
interface Run {
  readonly from: number
  readonly to: number
  readonly level: number
}

export async function summaryOf(own: ClusterArchive, bad: BadPieces): Promise<ArchiveSummary> {
  const { archive, pieces, heads } = own
  const [head] = heads.values()
  const found = historiesOf(pieces, heads)
  const histories = found ? [found.newest, ...found.others.map((span) => [span])] : []
  const summaries: HistorySummary[] = []
  for (const [i, spans] of histories.entries())
    summaries.push(await historySummary(own, spans, i === 0, bad))
  return {
    cluster: head?.cluster ?? '',
    db: head?.db ?? '',
    files: archive.files.length,
    bytes: archive.files.reduce((sum, { bytes }) => sum + bytes, 0),
    histories: summaries,
  }
}

async function historySummary(
  { archive, pieces }: ClusterArchive,
  spans: History,
  isNewest: boolean,
  bad: BadPieces,
): Promise<HistorySummary> {
  const reachable = within(reachablePieces(archive.files), spans)
  const positions = new HistoryPositions(archive, spans, reachable, bad)
  const runs = runsOf(reachable, spans)
  const stretches: Stretch[] = []
  for (const run of runs) stretches.push(...(await stretchOf(positions, run)))
  const snapshots = reachable.filter(({ name }) => name.kind === 'snapshot')
  return {
    isNewest,
    spans,
    stretches,
    gaps: await gapsOf(positions, runs, lastOf(within(pieces, spans), spans)),
    snapshots: await snapshotsOf(archive, snapshots, bad),
  }
}

function within(pieces: readonly Piece[], spans: History): Piece[] {
  return pieces.filter((piece) => {
    const span = spanOf(piece, spans)
    return span !== undefined && startOf(piece) < span.last && endOf(piece.name).txid >= span.first
  })
}

function spanOf({ name }: Piece, spans: History): Span | undefined {
  return spans.find(({ head }) => head.id === endOf(name).incarnation)
}

/** The finest files of each txid, joined where they follow each other at one level. */
export function runsOf(pieces: readonly Piece[], spans: History): Run[] {
  const all = joinedByLevel(pieces.map((piece) => runOf(piece, spans)))
  const edges = [...new Set(all.flatMap(({ from, to }) => [from, to]))].toSorted((a, b) => a - b)
  const runs: Run[] = []
  for (let i = 1; i < edges.length; i++) {
    const [from, to] = [edges[i - 1], edges[i]]
    const over = all.filter((run) => run.from <= from && to <= run.to)
    if (over.length === 0) continue
    const least = Math.min(...over.map((run) => run.level))
    // A lone snapshot is one position, as exact as any.
    const level = least === Infinity ? 0 : least
    const last = runs[runs.length - 1]
    if (last?.to === from && last.level === level) runs[runs.length - 1] = { ...last, to }
    else runs.push({ from, to, level })
  }
  return runs
}

function runOf(piece: Piece, spans: History): Run {
  const { first = 0, last = 0 } = spanOf(piece, spans) ?? {}
  return {
    from: Math.max(first - 1, startOf(piece)),
    to: Math.min(last, endOf(piece.name).txid),
    level: levelOf(piece.name),
  }
}

/** Levels below those of thinned files have every position, and are one to who restores. */
function levelOf(name: ArchiveName): number {
  if (name.kind === 'snapshot') return Infinity
  return isThinned(name) ? name.level : 0
}

/** Files of one level that follow each other become one run: there may be very many of them. */
function joinedByLevel(runs: readonly Run[]): Run[] {
  const joined = new Map<number, Run[]>()
  for (const run of runs.toSorted((a, b) => a.from - b.from)) {
    const own = joined.get(run.level) ?? []
    const last = own[own.length - 1]
    if (last && run.from <= last.to)
      own[own.length - 1] = { ...last, to: Math.max(last.to, run.to) }
    else own.push(run)
    joined.set(run.level, own)
  }
  return [...joined.values()].flat()
}

async function stretchOf(
  positions: HistoryPositions,
  { from, to, level }: Run,
): Promise<Stretch[]> {
  const first = (await positions.around(from)).after
  const around = await positions.around(to)
  const last = around.exact ?? around.before
  if (!first || !last) return []
  const second = level === 0 ? undefined : (await positions.around(first.txid)).after
  const everyMs = second ? Math.max(1, second.timeMs - first.timeMs) : 0
  return [{ from: first, to: last, everyMs }]
}

/** The last txid of a history; -1 without one. */
function lastOf(pieces: readonly Piece[], spans: History): number {
  return pieces.reduce((most, piece) => Math.max(most, runOf(piece, spans).to), -1)
}

/** `end`: txid of the last position that was archived. */
async function gapsOf(
  positions: HistoryPositions,
  runs: readonly Run[],
  end: number,
): Promise<Gap[]> {
  const gaps: Gap[] = []
  const edges = [...runs.map(({ from }) => from), Infinity]
  for (const [i, { to }] of runs.entries()) {
    const next = edges[i + 1]
    const isGap = next === Infinity ? end > to : next > to
    if (!isGap) continue
    const around = await positions.around(to)
    gaps.push({ after: around.exact ?? around.before, before: around.after })
  }
  if (runs.length === 0) gaps.push({ after: undefined, before: undefined })
  return gaps
}

/** The newest last. One that cannot be read is left out, and added to `bad`. */
async function snapshotsOf(
  archive: Archive,
  snapshots: readonly Piece[],
  bad: BadPieces,
): Promise<ArchivedPosition[]> {
  const found: ArchivedPosition[] = []
  for (const { name, files } of snapshots)
    try {
      await archive.use(files[files.length - 1].name, async ({ header, points }) => {
        const { incarnation, epoch } = header
        for (const { txid, timeMs } of points.slice(-1))
          found.push({ incarnation, epoch, txid, timeMs })
      })
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      bad.set(pieceName(name), error)
    }
  return found.toSorted((a, b) => a.txid - b.txid)
}
