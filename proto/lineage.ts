/** Which epochs followed from which, so that a position of an older epoch can be told to be part of a history or not. */
import type { Position } from './position.ts'

/** `epoch` began with exactly the state that epoch `after` had at `txid`. */
export interface EpochBegin {
  readonly epoch: number
  readonly txid: number
  readonly after: number
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

/** Whether a node that stands at `now` has the state of `position` in its history. Takes no more steps than there are entries. */
export function contains(now: Position, lineage: Lineage, position: Position): boolean {
  let { epoch, txid } = now
  for (let at = lineage.length - 1; epoch > position.epoch; at--) {
    while (at >= 0 && lineage[at].epoch > epoch) at--
    if (at < 0 || lineage[at].epoch !== epoch) return false
    txid = Math.min(txid, lineage[at].txid)
    epoch = lineage[at].after
  }
  return epoch === position.epoch && position.txid <= txid
}
