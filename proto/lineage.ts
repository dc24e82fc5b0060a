/** Which epochs followed from which, so that a position of an older epoch can be told to be part of a history or not. */
import type { Position } from './position.ts'

/** `epoch` began with the state that epoch `after` had at `txid`: all that it had by then is part of it. */
export interface EpochBegin {
  readonly epoch: number
  readonly txid: number
  readonly after: number
  /** Id of the node that leads in `epoch`: two nodes that are promoted at the same moment begin the same one. */
  readonly leader: string
  /** Whether that is proven. False: it is taken to be so, of a database that was written while no node ran. */
  readonly exact: boolean
}

/** The newest last. An epoch that began otherwise is not in it: nothing is known of what it has of the ones before. */
export type Lineage = readonly EpochBegin[]

/** Entries that are kept at most: positions from before the oldest count as unknown. */
export const MAX_LINEAGE = 64

/** With one more, in order, each epoch once, the oldest left out past MAX_LINEAGE. */
export function withBegin(lineage: Lineage, begin: EpochBegin): Lineage {
  if (begin.after >= begin.epoch) return lineage
  const others = lineage.filter(({ epoch }) => epoch !== begin.epoch)
  return [...others, begin].sort((a, b) => a.epoch - b.epoch).slice(-MAX_LINEAGE)
}

/** A position, and the node that led when it was made; '' or undefined when that is not known. */
export interface LedPosition extends Position {
  readonly leader?: string
}

/** Whether a node that stands at `now` has the state of `position` in its history; `isProof`: and that is proven. Takes no more steps than there are entries. */
export function contains(
  now: LedPosition,
  lineage: Lineage,
  position: LedPosition,
  isProof = false,
): boolean {
  let { epoch, txid, leader } = now
  for (let at = lineage.length - 1; epoch > position.epoch; at--) {
    while (at >= 0 && lineage[at].epoch > epoch) at--
    if (at < 0 || lineage[at].epoch !== epoch || (isProof && !lineage[at].exact)) return false
    txid = Math.min(txid, lineage[at].txid)
    epoch = lineage[at].after
    leader = lineage.find((begin) => begin.epoch === epoch)?.leader
  }
  return epoch === position.epoch && position.txid <= txid && isSameLeader(leader, position.leader)
}

function isSameLeader(a: string | undefined, b: string | undefined): boolean {
  return !a || !b || a === b
}
