/** The past that an archive can give back, as a line from its first to its last moment. Pure. */
import type { PlaceReport } from '../../api/backupStatus.ts'

export interface ArchiveSpan {
  /** How fine it is there: every position, or the last one of each hour, day and so on. */
  readonly grain: string
  readonly fromMs: number
  readonly toMs: number
}

export interface ArchiveLine {
  readonly fromMs: number
  readonly toMs: number
  /** The oldest first. */
  readonly spans: readonly ArchiveSpan[]
}

/** Undefined while the place has told nothing of its past. */
export function archiveLine({ upkeep, restorableUntil }: PlaceReport): ArchiveLine | undefined {
  const spans = (upkeep?.restorable ?? [])
    .map(({ grain, from, to }) => ({ grain, fromMs: Date.parse(from), toMs: Date.parse(to) }))
    .filter(({ fromMs, toMs }) => fromMs <= toMs)
    .sort((a, b) => a.fromMs - b.fromMs)
  const [first] = spans
  const last = spans.at(-1)
  if (!first || !last) return undefined
  const untilMs = restorableUntil ? Date.parse(restorableUntil.at) : last.toMs
  const toMs = Math.max(last.toMs, untilMs)
  return { fromMs: first.fromMs, toMs, spans: [...spans.slice(0, -1), { ...last, toMs }] }
}

/** The grain at a moment; undefined in a gap. */
export function grainAt({ spans }: ArchiveLine, atMs: number): string | undefined {
  return spans.find(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs)?.grain
}

/** A moment as commands take it: ISO time in UTC, to the second. */
export function momentText(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
