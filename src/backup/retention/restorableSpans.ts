/** What can be restored, as spans of time for people. */
import { isThinned } from '../../../proto/archiveNames.ts'
import type { Grain } from '../../options/keepPolicy.ts'
import { THINNED_LEVELS } from '../compaction/levels.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { isChanges, PieceWays } from './pieceWays.ts'
import type { Promises } from './promises.ts'

export interface RestorableSpan {
  readonly grain: Grain
  /** Times of the first and last position, ms since 1970. */
  readonly fromMs: number
  readonly toMs: number
  /** Without those of files that cannot be read. */
  readonly positions: number
}

/** One span for each grain that there is, `all` first. */
export function restorableSpans(
  live: readonly DatedPiece[],
  kept: ReadonlySet<DatedPiece>,
  { whole }: Promises,
): readonly RestorableSpan[] {
  const spans = new Map<Grain, RestorableSpan>()
  const pieces = live.filter((piece) => kept.has(piece) && !piece.isUnsound)
  const ways = new PieceWays(pieces)
  for (const piece of pieces) {
    const { about, dates } = piece
    if (!dates || !ways.has(piece)) continue
    const grain = grainOf(piece)
    // What is about to be thinned is promised no longer: only its end is.
    if (grain === 'all' && isChanges(piece) && !whole.has(piece)) continue
    const { firstMs, lastMs } = dates
    const span = spans.get(grain) ?? { grain, fromMs: firstMs, toMs: lastMs, positions: 0 }
    spans.set(grain, {
      grain,
      fromMs: Math.min(span.fromMs, firstMs),
      toMs: Math.max(span.toMs, lastMs),
      positions: span.positions + (about?.points ?? 0),
    })
  }
  return [...spans.values()]
}

function grainOf({ name }: DatedPiece): Grain {
  if (name.kind === 'snapshot' || !isThinned(name)) return 'all'
  const found = Object.entries(THINNED_LEVELS).find(([, level]) => level === name.level)
  return (found?.[0] as Grain | undefined) ?? 'yearly'
}
