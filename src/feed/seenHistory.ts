/** What another node has seen of this leader's own history, as it says itself. */
import { MAX_AHEAD } from '../../proto/limits.ts'
import {
  containment,
  type HistoryPoint,
  type Lineage,
  MAX_LINEAGE,
  NOWHERE,
  partingPoint,
  type Standing,
} from '../../proto/lineage.ts'
import { formatPosition, type Position } from '../../proto/position.ts'

export interface SeenHistory {
  /** Id of the node that says so. */
  readonly node: string
  /** Epoch of its position. */
  readonly epoch: number
  readonly txid: number
  /** Its history, the newest point first; empty when nothing is known of it. */
  readonly trail: readonly HistoryPoint[]
  /** The highest epoch that it knows of. */
  readonly highestEpoch: number
  /** The last epoch of which it knows that it began with a promotion. */
  readonly term: number
}

/** Why a leader begins an epoch above what another node has seen, for people. */
export function lackingText(seen: SeenHistory): string {
  const later = seen.highestEpoch > seen.epoch ? ` and knows of its epoch ${seen.highestEpoch}` : ''
  const what = `has ${formatPosition(seen)} of this leader's history${later}, which is missing here`
  return `node ${seen.node} ${what}: this leader's files were put back, or a copy of it has led`
}

/** A leader begins no epoch above one that is further ahead than this: restarts make fewer. */
const MAX_EPOCHS_AHEAD = 1_000_000

/** Whether a node whose own position is `now` believes the numbers at all. */
export function isBelievable(
  now: Position,
  { epoch, txid, highestEpoch, term }: SeenHistory,
): boolean {
  const isSound = epoch <= highestEpoch && term <= highestEpoch
  return isSound && highestEpoch - now.epoch <= MAX_EPOCHS_AHEAD && txid - now.txid <= MAX_AHEAD
}

/** Whether the history that stands at `now` lacks what the node has. */
export function isLacking(now: Standing, lineage: Lineage, { trail }: SeenHistory): boolean {
  return trail.length > 0 && containment(now, lineage, trail[0]) === 'unknown'
}

/**
 * Whether something follows from what is lacking: not of positions so old that the incarnations of
 * their time were left out of the lineage.
 */
export function isTold(now: Standing, lineage: Lineage, { trail, txid }: SeenHistory): boolean {
  const isWhole = lineage.length < MAX_LINEAGE || txid > lineage[0].txid
  return isWhole || partingPoint(now, lineage, trail) !== undefined
}

/**
 * Whether a leader that stands at `now` must begin an epoch above what a node has seen of the
 * leader's own history: the leader lacks some of it, and its numbers may be given out a second
 * time, or have been. Pure.
 */
export function isPutBack(now: Standing, lineage: Lineage, seen: SeenHistory): boolean {
  if (!isBelievable(now, seen)) return false
  if (seen.highestEpoch > now.epoch) return true
  const isAbove = seen.epoch >= now.epoch || seen.txid > now.txid
  return isAbove && isLacking(now, lineage, seen) && isTold(now, lineage, seen)
}

/** Where a leader goes on that lacks what other nodes have. */
export interface AboveLost {
  readonly epoch: number
  readonly term: number
  readonly txid: number
  /**
   * The last state that both histories share. A later number may mean a state of either. Without an
   * incarnation when they share no known state.
   */
  readonly follows: Standing
  readonly isProven: boolean
}

/**
 * Above all that is lost, from the earliest point at which the history that stands at `now` and one
 * of theirs parted. Pure. `lost` has at least one.
 */
export function aboveLost(
  now: Standing,
  lineage: Lineage,
  lost: readonly SeenHistory[],
): AboveLost {
  const lacking = lost.filter((seen) => isLacking(now, lineage, seen))
  const points = lacking.map(({ trail }) => partingPoint(now, lineage, trail) ?? UNKNOWN)
  // `now` may be a live object, whose fields no spread copies.
  const { epoch, incarnation, txid } = now
  const here = { epoch, incarnation, txid, isProven: true }
  // Along one history txids never go back: the lowest is the earliest.
  const [{ isProven, ...follows } = here] = points.sort((a, b) => a.txid - b.txid)
  return {
    epoch: Math.max(epoch, ...lost.map((seen) => seen.highestEpoch)) + 1,
    term: Math.max(...lost.map((seen) => seen.term)),
    txid: Math.max(txid, ...lost.map((seen) => seen.txid)) + 1,
    follows,
    isProven,
  }
}

const UNKNOWN = { ...NOWHERE, isProven: false }
