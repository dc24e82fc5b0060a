/** Which files and which positions a policy promises to keep. Pure. */
import { type ArchivedPlace, isThinned } from '../../../proto/archiveNames.ts'
import type { Grain, KeepPolicy, KeepWindow } from '../../options/keepPolicy.ts'
import type { DatedPiece } from '../datedPieces.ts'
import { placeKey } from '../restorePlan.ts'
import type { ArchiveClock } from './archiveClock.ts'
import { DAY_MS, PERIOD_OF, type Period, periodStart } from './periods.ts'
import { type ChangesPiece, endOf, isChanges } from './pieceWays.ts'

export interface Promises {
  /** Files that stay with every position in them. */
  readonly whole: ReadonlySet<DatedPiece>
  /** Positions that stay, by their key. */
  readonly places: ReadonlyMap<string, ArchivedPlace>
  /** Snapshots that stay as files. */
  readonly snapshots: ReadonlySet<DatedPiece>
  /** The grain in which a file may be thinned. */
  readonly grainOf: (piece: DatedPiece) => Exclude<Grain, 'all'>
}

/** A size bound never takes positions of the last day. */
export const LEAST_ALL_MS = DAY_MS

/** Places to which a way must lead: those promised, and where each whole file begins. */
export function wantedPlaces({ whole, places }: Promises): ArchivedPlace[] {
  return [...places.values(), ...[...whole].filter(isChanges).map(({ name }) => name.from)]
}

export function wantedKeys(promises: Promises): string[] {
  return wantedPlaces(promises).map(placeKey)
}

/** Everything, as when there is no policy, or no clock to trust. */
export function promiseAll(pieces: readonly DatedPiece[]): Promises {
  return {
    whole: new Set(pieces.filter(isChanges)),
    places: new Map(),
    snapshots: new Set(pieces.filter((piece) => !isChanges(piece))),
    grainOf: () => 'yearly',
  }
}

/**
 * `pieces`: in the order of their ends, as `clock.timesMs` is. `held`: positions that stay whatever
 * the policy says. `oldestMs`: what is older is given up for the size.
 */
export function promisesOf(
  pieces: readonly DatedPiece[],
  clock: ArchiveClock,
  policy: KeepPolicy,
  held: readonly ArchivedPlace[],
  oldestMs: number,
): Promises {
  const limits = limitsOf(policy.windows, clock.nowMs, oldestMs)
  const timeOf = new Map(pieces.map((piece, i) => [piece, clock.timesMs[i]]))
  const isOlder = (piece: DatedPiece, limitMs: number) => (timeOf.get(piece) ?? limitMs) < limitMs
  const all = limits.find(({ grain }) => grain === 'all')?.limitMs ?? Number.POSITIVE_INFINITY
  // What a failover left behind may end at a higher txid than the history that goes on.
  const inTurn = [pieces, pieces.toSorted(byEpoch)]
  const snapshots = inTurn.flatMap((all) =>
    all.filter((piece) => !isChanges(piece)).slice(-policy.snapshots),
  )
  const places = [
    ...held,
    ...limits.flatMap(({ grain, limitMs }) => {
      const isYoung = (piece: DatedPiece) => !isOlder(piece, limitMs)
      if (grain === 'all') return pieces.filter(isYoung).map(endOf)
      const periodOf = (piece: DatedPiece) => periodStart(PERIOD_OF[grain], timeOf.get(piece) ?? 0)
      return inTurn.flatMap((all) => lastOfPeriods(all.filter(isYoung), periodOf))
    }),
    ...snapshots.map(endOf),
    ...headsOf(pieces, snapshots),
    ...inTurn[1].slice(-1).map(endOf),
  ]
  return {
    whole: new Set(
      pieces.filter(
        (piece) =>
          isChanges(piece) && (!piece.dates || (!isThinned(piece.name) && !isOlder(piece, all))),
      ),
    ),
    places: new Map(places.map((place) => [placeKey(place), place])),
    snapshots: new Set(snapshots),
    grainOf: (piece) => grainAt(limits, (limitMs) => !isOlder(piece, limitMs)),
  }
}

interface Limit {
  readonly grain: Grain
  readonly limitMs: number
}

/**
 * Where each window ends. It ends where a period of the next one begins, so that each period is
 * thinned once it has wholly passed, and not a bit each day.
 */
function limitsOf(windows: readonly KeepWindow[], nowMs: number, oldestMs: number): Limit[] {
  const latestMs = nowMs - LEAST_ALL_MS
  return windows.map(({ grain, ageMs }, i) => {
    const next = windows.at(i + 1)?.grain
    const limitMs = periodStart(roundedTo(next), nowMs - ageMs)
    return { grain, limitMs: Math.max(limitMs, Math.min(oldestMs, latestMs)) }
  })
}

/** A year more of days would be no small thing. */
function roundedTo(next: Grain | undefined): Period {
  if (next === undefined || next === 'all') return 'day'
  return next === 'yearly' ? 'month' : PERIOD_OF[next]
}

/** Of one epoch the order stays. */
function byEpoch({ epoch: a }: DatedPiece, { epoch: b }: DatedPiece): number {
  return (a ?? 0) - (b ?? 0)
}

/**
 * Encrypted files of changes are never thinned, and would stay for the last position of a period
 * one and all. So the last snapshot of the period counts, where it has one.
 */
function lastOfPeriods(
  pieces: readonly DatedPiece[],
  periodOf: (piece: DatedPiece) => number,
): ArchivedPlace[] {
  const last = new Map<number, DatedPiece>()
  for (const piece of pieces) {
    const period = periodOf(piece)
    const known = last.get(period)
    if (!known || isChanges(known) || !isEncryptedChange(piece)) last.set(period, piece)
  }
  return [...last.values()].map(endOf)
}

function isEncryptedChange(piece: DatedPiece): boolean {
  return piece.isEncrypted && isChanges(piece)
}

/** Where the newest histories end: no file goes on there. `snapshots`: the newest ones. */
function headsOf(
  pieces: readonly DatedPiece[],
  snapshots: readonly DatedPiece[],
): readonly ArchivedPlace[] {
  const changes: readonly ChangesPiece[] = pieces.filter(isChanges)
  const begun = new Set(changes.map(({ name }) => placeKey(name.from)))
  const leastTxid = Math.max(0, ...snapshots.map((piece) => endOf(piece).txid))
  return pieces.map(endOf).filter((end) => end.txid >= leastTxid && !begun.has(placeKey(end)))
}

function grainAt(
  limits: readonly Limit[],
  isWithin: (limitMs: number) => boolean,
): Exclude<Grain, 'all'> {
  const found = limits.find(({ grain, limitMs }) => grain !== 'all' && isWithin(limitMs))
  const grain = found?.grain ?? limits.at(-1)?.grain
  return grain === undefined || grain === 'all' ? 'daily' : grain
}
