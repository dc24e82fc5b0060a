/** Options that fit each other and the role in which a node starts. */
import { WalcastError } from '../errors.ts'
import { isEverywhere } from '../hostPort.ts'
import { addressOf, ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { optionProblems } from '../options/optionProblems.ts'
import { queryProblem } from '../sqlite/queryProblem.ts'
import type { StartAs } from './nodeFolder.ts'

/** Throws USAGE, which names every problem at once, or SELF_LEADER. */
export function requireSoundOptions(options: NodeOptions, as: StartAs): void {
  const problems = soundnessProblems(options, as)
  if (problems.length > 0) throw new WalcastError('USAGE', { detail: problems.join('; ') })
  requireOtherLeader(options)
}

/** Throws SELF_LEADER. */
export function requireOtherLeader({ leader, listen }: NodeOptions): void {
  if (leader === undefined) return
  addressOf(leader)
  if (leader === listen) throw new WalcastError('SELF_LEADER')
}

/** One text for each problem; empty when there is none. */
export function soundnessProblems(options: NodeOptions, as: StartAs): string[] {
  const { leader, drillCheck } = options
  const problems = optionProblems(options)
  const wrong = drillCheck === undefined ? undefined : queryProblem(drillCheck)
  if (wrong !== undefined) problems.push(`--drill-check is not a query that gives rows: ${wrong}`)
  if (as === 'replica' && !leader) problems.push('a replica needs --leader HOST:PORT')
  const own = ownAddress(options)
  // There is none while its own mistake is told.
  if (own && isEverywhere(addressOf(own)))
    problems.push(
      `other nodes cannot reach this one at ${own}: give --advertise HOST:PORT, ` +
        'an address of this machine',
    )
  return problems
}
