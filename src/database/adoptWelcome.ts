/** What a leader's welcome changes in the role file of a replica. */
import { joined, type Lineage } from '../../proto/lineage.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { AdoptedWelcome } from '../replica/replicaOptions.ts'

/**
 * `leader`: HOST:PORT. Writes the file only when the welcome brings something new: a node nearly
 * always follows the same leader.
 */
export async function adoptWelcome(
  nodeFile: NodeFile,
  leader: string,
  { cluster, epoch, term, fileMode: leaderMode }: AdoptedWelcome,
  told: Lineage,
): Promise<void> {
  const { record } = nodeFile
  const lineage = joined(record.lineage, told)
  const isKnown =
    record.cluster === cluster &&
    record.epoch === epoch &&
    record.term === term &&
    record.leader === leader &&
    record.leaderMode === leaderMode &&
    JSON.stringify(lineage) === JSON.stringify(record.lineage)
  if (!isKnown) await nodeFile.update({ cluster, epoch, term, leader, leaderMode, lineage })
}
