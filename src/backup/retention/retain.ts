/**
 * What of an archive goes, what is thinned, and what stays. Pure: it is given what there is and
 * what the clocks say, and others act on it. A file goes only when no promised position needs it,
 * and the ways of all promised positions are looked up once more among what stays.
 *
 * A file known to be unsound is no way to anything, and no reason to remove anything either. So
 * everything is chosen twice, with and without such files, and what either needs stays.
 */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { KeepPolicy } from '../../options/keepPolicy.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { type ArchiveClock, archiveClock, type ClockReadings } from './archiveClock.ts'
import { coveredPieces, doubtedPieces } from './coveredPieces.ts'
import { isReached, keptSnapshots } from './keptSnapshots.ts'
import { isChanges, PieceWays } from './pieceWays.ts'
import { type Promises, promiseAll, promisesOf, wantedPlaces } from './promises.ts'
import { type RestorableSpan, restorableSpans } from './restorableSpans.ts'
import { type ThinRun, thinRuns } from './thinRuns.ts'

export interface RetainInput {
  /** In the order of their ends. */
  readonly pieces: readonly DatedPiece[]
  /** Undefined: everything stays, and only what others replace goes. */
  readonly policy: KeepPolicy | undefined
  readonly clock: ClockReadings
  /** Positions that stay: those with a name. */
  readonly held: readonly ArchivedPlace[]
  /** Keys of the files that this process has read to the end. */
  readonly verified: ReadonlySet<string>
  /** A snapshot stays when it saves a restore more than as many times its own bytes of changes. */
  readonly changeFactor: number
}

export interface Retention {
  readonly remove: readonly DatedPiece[]
  readonly thin: readonly ThinRun[]
  readonly kept: readonly DatedPiece[]
  /** What can be restored of what stays, the youngest first. */
  readonly restorable: readonly RestorableSpan[]
  /** Why nothing is removed or thinned for its age; undefined when ages can be told. */
  readonly refused: string | undefined
  /** Bytes above the bound that the last day and the newest snapshot do not give way to. */
  readonly overBytes: number
}

interface Selection {
  readonly promises: Promises
  readonly kept: ReadonlySet<DatedPiece>
}

export function retain(input: RetainInput): Retention {
  const { pieces, policy, clock, held, verified, changeFactor } = input
  const doubted = new Set<DatedPiece>(doubtedPieces(pieces, verified).keys())
  const usable = pieces.filter((piece) => !doubted.has(piece))
  const covered = coveredPieces(usable, verified)
  const live = usable.filter((piece) => !covered.has(piece))
  const times = live.map(({ dates }) => dates?.lastMs)
  const dated = policy ? archiveClock(times, clock) : undefined
  const isDated = policy && dated && typeof dated !== 'string'
  const select = (promises: Promises) => selected(live, promises, changeFactor)
  const selection = isDated
    ? bounded(policy, dated, bytesOf(doubted), (oldestMs) =>
        select(promisesOf(live, dated, policy, held, oldestMs)),
      )
    : select(promiseAll(live))
  const kept = pieces.filter((piece) => doubted.has(piece) || selection.kept.has(piece))
  requireWays(usable, kept, selection.promises)
  requireWays(usable.filter(isSound), kept.filter(isSound), selection.promises)
  const chosen = [...selection.kept]
  const lefts = worldsOf(chosen).map((each) => new PieceWays(each).left)
  const holders = worldsOf(live).map((each) => holdersOf(each, held))
  const stay: readonly ReadonlySet<DatedPiece>[] = [doubted, ...lefts, ...holders]
  const isHeld = (piece: DatedPiece) => piece.isUnsound || stay.some((each) => each.has(piece))
  return {
    kept,
    remove: pieces.filter((piece) => !doubted.has(piece) && !selection.kept.has(piece)),
    thin: isDated && live.some(isSoundSnapshot) ? thinRuns(chosen, selection.promises, isHeld) : [],
    restorable: restorableSpans(live, selection.kept, selection.promises),
    refused: typeof dated === 'string' ? dated : undefined,
    overBytes: Math.max(0, bytesOf(kept) - (policy?.maxBytes ?? Number.POSITIVE_INFINITY)),
  }
}

/** Gives up the oldest promises until the rest fits, and no more than that takes. */
function bounded(
  { maxBytes }: KeepPolicy,
  { timesMs, nowMs }: ArchiveClock,
  otherBytes: number,
  selectFrom: (oldestMs: number) => Selection,
): Selection {
  const whole = selectFrom(Number.NEGATIVE_INFINITY)
  const fits = ({ kept }: Selection) => bytesOf(kept) + otherBytes <= (maxBytes ?? Infinity)
  if (fits(whole)) return whole
  const cuts = [...new Set([...timesMs.map((ms) => ms + 1), nowMs])].sort((a, b) => a - b)
  let [low, high] = [0, cuts.length - 1]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (fits(selectFrom(cuts[middle]))) high = middle
    else low = middle + 1
  }
  return selectFrom(cuts[low] ?? nowMs)
}

function selected(
  live: readonly DatedPiece[],
  promises: Promises,
  changeFactor: number,
): Selection {
  const needed = worldsOf(live).map((pieces) => neededOf(pieces, promises, changeFactor))
  return { promises, kept: new Set(live.filter((piece) => needed.some((each) => each.has(piece)))) }
}

/** Without any snapshot nothing can be restored, and nothing is thrown away. */
function neededOf(
  live: readonly DatedPiece[],
  promises: Promises,
  changeFactor: number,
): ReadonlySet<DatedPiece> {
  if (live.every(isChanges)) return new Set(live)
  const snapshots = keptSnapshots(live, promises, changeFactor)
  const ways = new PieceWays(live.filter((piece) => isChanges(piece) || snapshots.has(piece)))
  const marked = new Set<DatedPiece>([...snapshots, ...promises.whole])
  for (const place of wantedPlaces(promises))
    for (const piece of ways.filesTo(place) ?? []) marked.add(piece)
  return new Set(live.filter((piece) => marked.has(piece)))
}

/** All files, and without those that may lead nowhere, where there are some. */
function worldsOf(pieces: readonly DatedPiece[]): readonly (readonly DatedPiece[])[] {
  const sound = pieces.filter(isSound)
  return sound.length < pieces.length ? [pieces, sound] : [pieces]
}

function isSoundSnapshot(piece: DatedPiece): boolean {
  return isSound(piece) && !isChanges(piece)
}

function isSound({ isUnsound }: DatedPiece): boolean {
  return !isUnsound
}

/** Files with a held position between their ends: they keep all their positions. */
function holdersOf(
  live: readonly DatedPiece[],
  held: readonly ArchivedPlace[],
): ReadonlySet<DatedPiece> {
  const ways = new PieceWays(live)
  const inside = held.filter((place) => !ways.leadsTo(place))
  return new Set(inside.flatMap((place) => ways.holderOf(place) ?? []))
}

/** Deletion is proven by something else than that which chose it. */
function requireWays(
  before: readonly DatedPiece[],
  kept: readonly DatedPiece[],
  promises: Promises,
): void {
  const [old, now] = [new PieceWays(before), new PieceWays(kept)]
  for (const place of wantedPlaces(promises))
    if (isReached(old, place) && !isReached(now, place))
      throw new WalcastError('INTERNAL', {
        detail: `retention would lose txid ${place.txid}, which is promised`,
      })
}

function bytesOf(pieces: Iterable<DatedPiece>): number {
  let sum = 0
  for (const { bytes } of pieces) sum += bytes
  return sum
}
