/** What another node has seen of this leader's own history, as it says itself. */
import {
  containment,
  type HistoryPoint,
  type Lineage,
  MAX_LINEAGE,
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
  return `node ${seen.node} has been at ${formatPosition(seen)}, which this leader lacks: its state was put back`
}

/** Numbers further above those of this node are not believed: nobody has made so many. */
const MAX_EPOCHS_AHEAD = 1_000_000
const MAX_TXIDS_AHEAD = 2 ** 40

/** Whether a node whose own position is `now` believes the numbers at all. */
export function isBelievable(now: Position, { highestEpoch, txid }: SeenHistory): boolean {
  return highestEpoch - now.epoch <= MAX_EPOCHS_AHEAD && txid - now.txid <= MAX_TXIDS_AHEAD
}

/** Whether the history that stands at `now` lacks what the node has. */
export function isLacking(now: Standing, lineage: Lineage, { trail }: SeenHistory): boolean {
  return trail.length > 0 && containment(now, lineage, trail[0]) === 'unknown'
}

/** Whether something follows from what is lacking: not of so many incarnations that the oldest were left out. */
export function isTold(now: Standing, lineage: Lineage, { trail }: SeenHistory): boolean {
  return lineage.length < MAX_LINEAGE || partingPoint(now, lineage, trail) !== undefined
}

/**
 * Whether a leader that stands at `now` must begin an epoch above what a node has seen of the leader's own history: the leader
 * lacks some of it, and its numbers may be given out a second time, or have been. Pure.
 */
export function isPutBack(now: Standing, lineage: Lineage, seen: SeenHistory): boolean {
  if (!isBelievable(now, seen)) return false
  if (seen.highestEpoch > now.epoch) return true
  const isAbove = seen.epoch >= now.epoch || seen.txid > now.txid
  return isAbove && isLacking(now, lineage, seen) && isTold(now, lineage, seen)
}
