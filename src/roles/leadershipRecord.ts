/** What the role file says of the beginning and the end of this node's leadership. */
import { type Standing, trailOf, withIncarnation } from '../../proto/lineage.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import { type NodeRecord, putBackMark } from '../cluster/nodeRecord.ts'
import { incarnationAfter, newIncarnation } from '../leader/incarnation.ts'
import { TXID_RESERVE } from '../leader/startup.ts'
import type { LeadershipBegins } from './state/roleOrders.ts'

/** This node leads in an epoch that begins with the state at `place`. `nowMs`: the time of day. */
export function leadingRecord(
  { node, lineage, txidCeiling }: NodeRecord,
  place: Standing,
  { epoch, term, exact, putBack }: LeadershipBegins,
  nowMs: number,
): Partial<NodeRecord> {
  const [settled = place] = trailOf(place, lineage)
  const id = newIncarnation()
  const begun = incarnationAfter(putBack?.follows ?? settled, { id, epoch, leader: node, exact })
  const first = putBack?.txid ?? place.txid
  const at = new Date(nowMs).toISOString()
  return {
    role: 'leader',
    epoch,
    term,
    txidCeiling: Math.max(txidCeiling, first + TXID_RESERVE),
    leader: '',
    incarnation: id,
    lineage: withIncarnation(lineage, begun),
    ...(term === epoch ? { promoted: { at, epoch, txid: first } } : {}),
    ...(putBack
      ? {
          putBack: putBackMark(at, { epoch, txid: first }, { from: place, reason: putBack.reason }),
        }
      : {}),
  }
}

/**
 * This node leads no more. `txid`: where it stands; undefined when it has not opened its database.
 */
export function followingRecord(
  { record: { standby, epoch } }: Pick<NodeFile, 'record'>,
  leader: string,
  txid: number | undefined,
  nowMs: number,
): Partial<NodeRecord> {
  const at = new Date(nowMs).toISOString()
  const demoted = txid === undefined ? { at, epoch } : { at, epoch, txid }
  return { role: standby ? 'standby' : 'replica', leader, demoted }
}
