/**
 * What of another node's words may say which node it is and where it is reached. They go into the
 * role file, calls, logs and tables.
 */
import { address as addressField } from '../../proto/fields.ts'
import { isNodeId } from '../nodeId.ts'
import type { Member } from './nodeRecord.ts'

/** What of a node's place is not as it may be; undefined when both are. `address` may be ''. */
export function wrongIn({ node, address }: Member): 'node' | 'address' | undefined {
  if (!isNodeId(node)) return 'node'
  return addressField.accepts(address) ? undefined : 'address'
}
