/** Whether a node may lead on by the lease that it has. */
import { WalcastError } from '../../errors.ts'
import type { RoleFacts } from './roleFacts.ts'

/** LEASE_LOST; undefined when it may, or when operators alone decide who leads. */
export function leaseProblem({ lease }: RoleFacts): WalcastError | undefined {
  if (!lease || lease.mayGoOn) return undefined
  return new WalcastError('LEASE_LOST', { detail: lease.detail })
}
