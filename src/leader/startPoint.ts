/**
 * Decides where a leader goes on. It keeps epoch and txid only when the database is provably the
 * one it left: the newest stored position verifies against the WAL, or nothing of the content
 * changed. Everything else begins a new epoch, and so does a database that lacks what other nodes
 * have of this node's history: it was put back to an earlier state.
 */
import {
  type HistoryPoint,
  type Incarnation,
  type Lineage,
  NOWHERE,
  type Standing,
  trailOf,
} from '../../proto/lineage.ts'
import {
  aboveLost,
  isBelievable,
  isLacking,
  isTold,
  lackingText,
  type SeenHistory,
} from '../feed/seenHistory.ts'
import { isCountedBack } from '../sqlite/databaseHeader.ts'
import type { ScannedDatabase } from '../sqlite/databaseScan.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import { incarnationAfter } from './incarnation.ts'

export interface StartPoint {
  readonly epoch: number
  /**
   * The last epoch that began with a promotion, as nodes with more history tell it; 0 when there
   * are none.
   */
  readonly term: number
  readonly txid: number
  /** Why a new epoch begins, undefined when the old one goes on. */
  readonly newEpoch: string | undefined
  /** Whether it begins because the database was put back to an earlier state. */
  readonly isPutBack: boolean
  /** How the incarnation that begins follows from the one before. */
  readonly begun: Incarnation
  /**
   * Records of this WAL generation that verify, oldest first: the batches between them can be made
   * again.
   */
  readonly verified: readonly PositionRecord[]
}

/**
 * An epoch above what other nodes had seen. Its first position names the state that was there
 * before.
 */
export interface RaisedEpoch {
  /** Where the state stood before. */
  readonly from: HistoryPoint
  readonly txid: number
}

/** What is known from before. */
export interface Remembered {
  readonly records: readonly PositionRecord[]
  /** The newest record is the newest there ever was. */
  readonly trusted: boolean
  /** The epoch of the node file. */
  readonly epoch: number
  /** The incarnation in which this node last led, by the node file. */
  readonly incarnation: string
  /**
   * How that epoch began, when it was raised above what the node had lost; undefined for any other
   * epoch.
   */
  readonly raised: RaisedEpoch | undefined
  /** No txid above this was ever given out. */
  readonly txidCeiling: number
  readonly lineage: Lineage
  /** Id of this node. */
  readonly node: string
  /** What other nodes have seen of this node's own history. */
  readonly seen: readonly SeenHistory[]
}

/** The content of the database as it is found. */
export type FoundContent = Pick<
  ScannedDatabase,
  'header' | 'commits' | 'checksums' | 'sums' | 'baseState' | 'counters'
>

/**
 * Decides epoch and txid for the content found. `incarnation`: the id drawn for this start. Pure.
 */
export function chooseStart(
  found: FoundContent,
  before: Remembered,
  incarnation: string,
): StartPoint {
  const place = findPlace(found, before)
  const lost = before.seen.filter((seen) => isLost(seen, place, before))
  return lost.length > 0
    ? startAbove(place, before, incarnation, lost)
    : startAt(place, before, incarnation)
}

/**
 * Whether a node has what this database lacks, under numbers that may be given out a second time,
 * or have been.
 */
function isLost(seen: SeenHistory, place: Place, { epoch, lineage }: Remembered): boolean {
  const { follows, txid } = place
  if (!isBelievable({ epoch, txid }, seen)) return false
  if (seen.highestEpoch > epoch) return true
  // When it is not known what the content follows from, the numbers tell: those of this start are
  // above all that this node has given out.
  if (!follows) return seen.trail.length > 0 && seen.txid >= txid
  const isAbove = seen.epoch >= epoch || seen.txid >= txid
  return isAbove && isLacking(follows, lineage, seen) && isTold(follows, lineage, seen)
}

/** Where the content comes from. */
interface Place {
  /** The last position that it is known or taken to follow from. */
  readonly follows: Standing | undefined
  /** Whether that is proven. */
  readonly isProven: boolean
  readonly txid: number
  readonly newEpoch: string | undefined
  readonly isPutBack: boolean
  readonly verified: readonly PositionRecord[]
}

function findPlace(found: FoundContent, before: Remembered): Place {
  const records = inEpoch(before)
  const last = records.at(-1)
  const isLastKnown =
    last !== undefined && before.trusted && last.epoch === before.epoch && isOfThen(last, before)
  const proven = records.findLast((record) => isStateOf(record, found) || isBefore(record, found))
  if (isLastKnown && proven === last) return goesOn(last, records, found, before.lineage)
  const isOlder = isLastKnown && !proven && isCountedBack(found.counters, last)
  const follows = proven ?? (isLastKnown && !isOlder ? last : undefined)
  return {
    follows: follows && settled(follows, before.lineage),
    isProven: proven !== undefined,
    txid: (isLastKnown ? last.txid : Math.max(last?.txid ?? 0, before.txidCeiling)) + 1,
    newEpoch: whyNew(last, proven, isOlder, before),
    isPutBack: isOlder || (isLastKnown && proven !== undefined),
    verified: [],
  }
}

/** The database as it was left, and what was committed to it since. */
function goesOn(
  last: PositionRecord,
  records: readonly PositionRecord[],
  found: FoundContent,
  lineage: Lineage,
): Place {
  const place = {
    follows: settled(last, lineage),
    isProven: true,
    newEpoch: undefined,
    isPutBack: false,
  }
  if (isInWal(found, last)) {
    const since = found.commits.filter((frame) => frame > last.frame).length
    const verified = records.filter(
      (record) => record.epoch === last.epoch && isInWal(found, record),
    )
    return { ...place, txid: last.txid + since, verified }
  }
  if (isStateOf(last, found)) return { ...place, txid: last.txid, verified: [] }
  // The WAL was started over, and every commit since lies in it.
  const base = { ...last, frame: 0 }
  return { ...place, txid: last.txid + found.commits.length, verified: [base] }
}

/**
 * Whether the positions and the role file belong together: the newest position is of the
 * incarnation that led last, or of the state with which that began.
 */
function isOfThen(last: PositionRecord, { incarnation, lineage }: Remembered): boolean {
  const begun = lineage.find(({ id }) => id === incarnation)
  if (!begun || last.incarnation === incarnation) return true
  const { incarnation: after, txid } = settled(last, lineage)
  return begun.after === after && begun.txid === txid
}

function whyNew(
  last: PositionRecord | undefined,
  proven: PositionRecord | undefined,
  isOlder: boolean,
  before: Remembered,
): string {
  const { epoch, trusted } = before
  if (!last) return epoch === 0 ? 'first start' : 'no stored position'
  if (last.epoch !== epoch) return 'the stored position is of another epoch'
  if (!trusted) return 'the machine went down without a clean stop'
  if (!isOfThen(last, before)) return 'the stored positions are of another time than the role file'
  if (isOlder) return `the database was put back to a state before ${last.epoch}-${last.txid}`
  if (!proven) return 'the database was written while no leader ran'
  return `the database was put back to what it was at ${proven.epoch}-${proven.txid}`
}

/** Whether the content is the state of the record. */
function isStateOf(record: PositionRecord, { sums }: FoundContent): boolean {
  return record.checksum === sums.state && record.pages === sums.pages
}

/** Whether the content came from the state of the record by what lies in the WAL. */
function isBefore(record: PositionRecord, found: FoundContent): boolean {
  return isInWal(found, record) || record.checksum === found.baseState
}

/** The incarnation that committed it, not one that only took it over. */
function settled({ incarnation, epoch, txid }: PositionRecord, lineage: Lineage): Standing {
  const [point] = trailOf({ incarnation, epoch, txid }, lineage)
  return point ?? { incarnation, epoch, txid }
}

function startAt(
  { follows, isProven, txid, newEpoch, isPutBack, verified }: Place,
  before: Remembered,
  incarnation: string,
): StartPoint {
  const highest = Math.max(before.epoch, before.records.at(-1)?.epoch ?? 0)
  const epoch = newEpoch === undefined ? before.epoch : highest + 1
  const begun = incarnationAfter(follows ?? NOWHERE, {
    id: incarnation,
    epoch,
    leader: before.node,
    exact: isProven,
  })
  return { epoch, term: 0, txid, newEpoch, isPutBack, begun, verified }
}

function startAbove(
  place: Place,
  before: Remembered,
  incarnation: string,
  lost: readonly SeenHistory[],
): StartPoint {
  const { node, lineage } = before
  const { follows = NOWHERE } = place
  const highest = Math.max(before.epoch, before.records.at(-1)?.epoch ?? 0)
  const above = aboveLost(follows, lineage, lost)
  const epoch = Math.max(highest + 1, above.epoch)
  const [other] = lost
  return {
    epoch,
    term: above.term,
    txid: Math.max(place.txid, above.txid),
    newEpoch: lackingText(other),
    isPutBack: true,
    begun: incarnationAfter(above.follows, {
      id: incarnation,
      epoch,
      leader: node,
      exact: place.isProven && above.isProven,
    }),
    verified: [],
  }
}

/**
 * A node that crashed right after its promotion, or after it raised its epoch, has recorded its
 * place only in the incarnation before.
 */
function inEpoch({
  records,
  epoch,
  incarnation,
  raised,
  lineage,
}: Remembered): readonly PositionRecord[] {
  const last = records.at(-1)
  const begun = lineage.find(({ id }) => id === incarnation)
  if (!last || !begun || begun.epoch !== epoch || last.epoch >= epoch) return records
  const before = settled(last, lineage)
  const isAt = (after: string, txid: number) =>
    [last, before].some((each) => each.incarnation === after && each.txid === txid)
  if (raised && isAt(raised.from.incarnation, raised.from.txid))
    return [...records.slice(0, -1), { ...last, epoch, incarnation, txid: raised.txid }]
  if (!begun.exact || !isAt(begun.after, begun.txid)) return records
  return [...records.slice(0, -1), { ...last, epoch, incarnation }]
}

function isInWal(
  found: Pick<ScannedDatabase, 'header' | 'checksums'>,
  record: PositionRecord,
): boolean {
  const { header, checksums } = found
  if (record.frame === 0 || record.salt1 !== header.salt1 || record.salt2 !== header.salt2)
    return false
  const sum = checksums.get(record.frame)
  return sum !== undefined && sum.s0 === record.s0 && sum.s1 === record.s1
}
