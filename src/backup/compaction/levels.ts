/**
 * The levels of files of changes, and which files are due to be merged. Pure.
 *
 * | level | holds |
 * |---|---|
 * | 0 | what was captured in half a second |
 * | 1, 2, 3 | the same positions of a minute, an hour, a day |
 * | 4 to 8 | the last position of an hour, a day, a week, a month, a year |
 *
 * Each span is 24 to 120 times the one below. So a day of two files a second is read from at most
 * 23 + 59 + 119 files, and a byte is merged three times in its life. Spans are of the times in the
 * files, in UTC: no clock of the node that merges counts, and none that jumps can hold merges up.
 */
import { MAX_IMAGES, MAX_POINTS } from '../../../proto/archiveIndex.ts'
import type { ChangesName } from '../../../proto/archiveNames.ts'
import { FIRST_THINNED_LEVEL, isThinned } from '../../../proto/archiveNames.ts'
import type { Grain } from '../../options/keepPolicy.ts'
import type { DatedPiece, PieceAbout } from '../datedPieces.ts'
import { placeKey } from '../restorePlan.ts'
import { type Period, periodStart } from '../retention/periods.ts'
import { MAX_MERGED_PARTS } from './mergeChanges.ts'

/** By level, from 1 on. */
const SPANS: readonly Period[] = ['minute', 'hour', 'day']
/** Files in one merge, of which the level-0 files of a minute are about half. */
export const MAX_MERGED_FILES = 256
/**
 * Bytes of a merged file. A larger one makes a restore read no fewer files worth the name, and a
 * merge that a crash breaks off loses as much work.
 */
export const MAX_MERGED_BYTES = 1024 ** 3

/** The level of a file that is thinned to one position of each period. */
export const THINNED_LEVELS: Readonly<Record<Exclude<Grain, 'all'>, number>> = {
  hourly: FIRST_THINNED_LEVEL,
  daily: 5,
  weekly: 6,
  monthly: 7,
  yearly: 8,
}

/** A merged file is one. */
const ALONE = { part: 1, isLast: true }

export interface DueMerge {
  readonly pieces: readonly DatedPiece[]
  readonly name: ChangesName
}

interface Captured extends DatedPiece {
  readonly name: ChangesName
  readonly about: PieceAbout
}

/**
 * The merges that are due, lowest level and oldest first. `pieces`: in the order of their ends.
 * `hasHours`: hours must be told apart later, so nothing longer is made.
 */
export function dueMerges(pieces: readonly DatedPiece[], hasHours: boolean): readonly DueMerge[] {
  const chains = chainsOf(pieces)
  const levels = hasHours ? SPANS.slice(0, 2) : SPANS
  const open = openChain(chains, pieces.at(-1))
  const due: DueMerge[] = []
  const taken = new Set<DatedPiece>()
  for (const [i, period] of levels.entries())
    for (const run of chains.flatMap((chain) => runsOf(chain, i + 1, period, chain !== open))) {
      if (run.some((piece) => taken.has(piece))) continue
      for (const piece of run) taken.add(piece)
      const [{ name }, { name: last }] = [run[0], run[run.length - 1]]
      due.push({ pieces: run, name: { ...name, ...ALONE, level: i + 1, to: last.to } })
    }
  return due
}

/** Runs of files that follow each other, alone, in one incarnation, without a snapshot between. */
function chainsOf(pieces: readonly DatedPiece[]): readonly (readonly Captured[])[] {
  const captured = pieces.filter(isCaptured)
  // A thinned file may go on from a place as well.
  const changes = pieces.map(({ name }) => name).filter((name) => name.kind === 'changes')
  const begins = countsOf(changes.map(({ from }) => placeKey(from)))
  const ends = countsOf(changes.map(({ to }) => placeKey(to)))
  const stops = new Set(
    pieces.flatMap(({ name }) => (name.kind === 'snapshot' ? [placeKey(name)] : [])),
  )
  const chains: Captured[][] = []
  for (const piece of captured) {
    const chain = chains.at(-1)
    const place = placeKey(piece.name.from)
    const isAlone = begins.get(place) === 1 && ends.get(place) === 1 && !stops.has(place)
    const before = chain?.at(-1)
    if (chain && before && isAlone && follows(before, piece)) chain.push(piece)
    else chains.push([piece])
  }
  return chains
}

/**
 * The chain that goes on. What a failover left behind may end at a higher txid than what goes on
 * from before it; its epoch is lower.
 */
function openChain(
  chains: readonly (readonly Captured[])[],
  last: DatedPiece | undefined,
): readonly Captured[] | undefined {
  const epoch = last?.about?.header.epoch ?? 0
  const newer = chains.filter((chain) => (chain.at(-1)?.about.header.epoch ?? 0) > epoch)
  if (newer.length === 0) return chains.find((chain) => chain.some((piece) => piece === last))
  const rank = (chain: readonly Captured[]) => {
    const end = chain.at(-1)
    return [end?.about.header.epoch ?? 0, end?.name.to.txid ?? 0]
  }
  return newer.toSorted((a, b) => {
    const [[oneEpoch, one], [otherEpoch, other]] = [rank(a), rank(b)]
    return otherEpoch - oneEpoch || other - one
  })[0]
}

/** Files of many parts are large enough alone. What is not sound cannot be read to be merged. */
function isCaptured(piece: DatedPiece): piece is Captured {
  return (
    piece.name.kind === 'changes' &&
    !piece.isUnsound &&
    !isThinned(piece.name) &&
    piece.about !== undefined &&
    piece.files.length <= MAX_MERGED_PARTS
  )
}

function follows(before: Captured, { name, about }: Captured): boolean {
  const { header, checksum } = before.about
  return (
    placeKey(before.name.to) === placeKey(name.from) &&
    name.from.incarnation === name.to.incarnation &&
    header.epoch === about.header.epoch &&
    header.pageSize === about.header.pageSize &&
    // Files that do not fit are no error here: those before and after them are merged all the same.
    (name.from.txid !== about.header.fromTxid || about.header.fromChecksum === checksum)
  )
}

/**
 * Runs of one period that is over, as large as a file may be. `isOver`: nothing will follow the
 * chain.
 */
function runsOf(
  chain: readonly Captured[],
  level: number,
  period: Period,
  isOver: boolean,
): readonly (readonly Captured[])[] {
  const found: (readonly Captured[])[] = []
  let run: Captured[] = []
  const end = (): void => {
    if (run.length > 1) found.push(run)
    run = []
  }
  for (const piece of chain) {
    const last = run.at(-1)
    const isSame =
      piece.name.level < level &&
      (!last || spanOf(last, period) === spanOf(piece, period)) &&
      fits([...run, piece])
    if (!isSame) end()
    if (piece.name.level < level) run.push(piece)
  }
  // What comes next may belong to the period of the last run.
  if (isOver) end()
  return found
}

function spanOf({ about }: Captured, period: Period): number {
  return periodStart(period, about.lastMs)
}

function fits(run: readonly Captured[]): boolean {
  const sum = (of: (piece: Captured) => number) => run.reduce((all, each) => all + of(each), 0)
  return (
    run.length <= MAX_MERGED_FILES &&
    sum(({ about }) => about.points) <= MAX_POINTS &&
    sum(({ about }) => about.images) <= MAX_IMAGES &&
    sum(({ bytes }) => bytes) <= MAX_MERGED_BYTES
  )
}

function countsOf(keys: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}
