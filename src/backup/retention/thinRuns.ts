/**
 * Runs of files that are put together into one position each: between two positions that stay,
 * nobody is promised anything.
 */
import type { ChangesName } from '../../../proto/archiveNames.ts'
import { isThinned } from '../../../proto/archiveNames.ts'
import { THINNED_LEVELS } from '../compaction/levels.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { placeKey } from '../restorePlan.ts'
import { type ChangesPiece, endOf, isChanges } from './pieceWays.ts'
import { type Promises, wantedKeys } from './promises.ts'

export interface ThinRun {
  readonly pieces: readonly ChangesPiece[]
  readonly name: ChangesName
}

/** A run with one large file is thinned again only once the others are worth reading that. */
const MAX_RATIO = 4
const MANY = 16
/** Files of one run: their indexes are read one after another. */
const MAX_RUN = 1024

/**
 * `kept`: all that stays. Only what is `held` by no one else, and is dated, is thinned. What is old
 * and encrypted cannot be read.
 */
export function thinRuns(
  kept: readonly DatedPiece[],
  promises: Promises,
  isHeld: (piece: DatedPiece) => boolean,
): readonly ThinRun[] {
  const stops = stopsOf(kept, promises)
  const runs: ChangesPiece[][] = []
  for (const piece of kept.filter(isChanges)) {
    if (promises.whole.has(piece) || isHeld(piece) || !piece.about || piece.isEncrypted) continue
    const run = runs.find((each) => {
      const last = each[each.length - 1]
      const junction = placeKey(piece.name.from)
      return (
        placeKey(endOf(last)) === junction &&
        !stops.has(junction) &&
        each.length < MAX_RUN &&
        last.about?.header.pageSize === piece.about?.header.pageSize
      )
    })
    if (run) run.push(piece)
    else runs.push([piece])
  }
  return runs.filter(isWorthIt).map((run) => thinRun(run, promises))
}

/** Places at which a run must not go on. */
function stopsOf(kept: readonly DatedPiece[], promises: Promises): ReadonlySet<string> {
  const stops = new Set(wantedKeys(promises))
  const begun = new Set<string>()
  const ended = new Set<string>()
  const note = (seen: Set<string>, place: string): void => {
    if (seen.has(place)) stops.add(place)
    seen.add(place)
  }
  for (const piece of kept) {
    if (isChanges(piece)) {
      note(begun, placeKey(piece.name.from))
      note(ended, placeKey(piece.name.to))
    } else stops.add(placeKey(endOf(piece)))
  }
  return stops
}

function thinRun(pieces: readonly ChangesPiece[], promises: Promises): ThinRun {
  const [{ name: first }, last] = [pieces[0], pieces[pieces.length - 1]]
  const level = THINNED_LEVELS[promises.grainOf(last)]
  const whole = { part: 1, isLast: true }
  return { pieces, name: { kind: 'changes', from: first.from, to: last.name.to, level, ...whole } }
}

function isWorthIt(run: readonly ChangesPiece[]): boolean {
  const [first] = run
  if (run.length === 1) return !isThinned(first.name) && (first.about?.points ?? 0) > 1
  if (run.length >= MANY) return true
  const all = run.reduce((sum, { bytes }) => sum + bytes, 0)
  const largest = Math.max(...run.map(({ bytes }) => bytes))
  return largest <= MAX_RATIO * (all - largest)
}
