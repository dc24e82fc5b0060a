/**
 * What of another node's words may say which node it is and where it is reached. They go into the
 * role file, calls, logs and tables.
 */
import { address as addressField } from '../../proto/fields.ts'
import { isNodeId } from '../nodeId.ts'
import type { Prover } from '../security/proof.ts'
import type { Member } from './nodeRecord.ts'

/** What of a node's place is not as it may be; undefined when both are. `address` may be ''. */
export function wrongIn({ node, address }: Member): 'node' | 'address' | undefined {
  if (!isNodeId(node)) return 'node'
  return addressField.accepts(address) ? undefined : 'address'
}

/**
 * Why a node that has proven the cluster secret at `address` is not the one to talk to there;
 * undefined when it may be. A stranger at the address of a member can pass on a challenge to
 * another node, or back to the one that asks; the answer says which node that was and where it is.
 * `own`: instance of this process. `members`: the other nodes, as far as they are known.
 */
export function misplaced(
  address: string,
  { node, instance, address: its }: Prover,
  own: string,
  members: readonly Member[],
): string | undefined {
  if (instance === own) return 'it passes on what this node itself answers'
  const there = members.filter((member) => member.address === address)
  const isElsewhere = there.length > 0 && its !== address
  return isElsewhere && there.every((member) => member.node !== node)
    ? `it passes on what node ${node} at ${its} answers`
    : undefined
}
