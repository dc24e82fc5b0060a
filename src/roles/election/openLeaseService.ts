/** The lock service that the options of a node name. */
import { WalcastError } from '../../errors.ts'
import type { NodeOptions } from '../../options/nodeOptions.ts'
import type { LeaseService, LeaseServiceSetup } from './leaseService.ts'

/** Undefined with `--election static`. */
export type OpenLeaseService = ((setup: LeaseServiceSetup) => LeaseService) | undefined

/**
 * `environment` has the password or the token. Throws USAGE, SECRET_UNREADABLE, STORE_PLACE and
 * what reading certificates throws.
 */
export function leaseServiceOf(
  { election }: NodeOptions,
  _environment: NodeJS.ProcessEnv,
): OpenLeaseService {
  if (election === 'static') return undefined
  throw new WalcastError('USAGE', { detail: `--election ${election} is not there yet` })
}
