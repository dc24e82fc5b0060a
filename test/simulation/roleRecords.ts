/** What a change of role writes into the role file: `roles` writes the same. */
import { type Standing, trailOf, withIncarnation } from '../../proto/lineage.ts'
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import { incarnationAfter, newIncarnation } from '../../src/leader/incarnation.ts'
import { TXID_RESERVE } from '../../src/leader/startup.ts'

/** The node leads in an epoch that begins with its state at `place`. */
export function leadingRecord(
  { node, lineage, txidCeiling }: NodeRecord,
  place: Standing,
  epoch: number,
): Partial<NodeRecord> {
  const [settled = place] = trailOf(place, lineage)
  const id = newIncarnation()
  const begun = incarnationAfter(settled, { id, epoch, leader: node, exact: true })
  return {
    role: 'leader',
    epoch,
    term: epoch,
    txidCeiling: Math.max(txidCeiling, place.txid + TXID_RESERVE),
    leader: '',
    incarnation: id,
    lineage: withIncarnation(lineage, begun),
  }
}

export function followingRecord(leader: string): Partial<NodeRecord> {
  return { role: 'replica', leader }
}
