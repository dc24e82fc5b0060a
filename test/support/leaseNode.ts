/** A node that holds leases of a lock service within this process, under a simulated clock. */
import type { Position } from '../../proto/position.ts'
import { WalcastError } from '../../src/errors.ts'
import { replaceTime } from '../../src/platform/time.ts'
import { ElectionSeal } from '../../src/roles/election/electionSeal.ts'
import { LeaseHolder } from '../../src/roles/election/leaseHolder.ts'
import type { LeaseService } from '../../src/roles/election/leaseService.ts'
import { LeaseValidity } from '../../src/roles/election/leaseValidity.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { Scheduler } from '../simulation/scheduler.ts'
import { type MemoryElection, MemoryLease } from './memoryLease.ts'

export const LEASE_TTL_MS = 1000

/** What befalls a call: nothing, it is not heard, or it is carried out and its answer is lost. */
export type CallFate = 'well' | 'unheard' | 'unanswered'

export interface LeaseNode {
  readonly id: string
  readonly seal: ElectionSeal
  readonly validity: LeaseValidity
  readonly holder: LeaseHolder
  /** The highest epoch that it knows. */
  epoch: number
  position: Position
  agreedUntilMs: number
  /** Of the next calls, the first first; then all go well. */
  readonly fates: CallFate[]
}

export const OPEN_SEAL = new ElectionSeal({
  secrets: new ClusterSecrets([]),
  cluster: () => 'cluster-a',
})

export function newLeaseNode(election: MemoryElection, id: string): LeaseNode {
  const validity = new LeaseValidity(LEASE_TTL_MS)
  const fates: CallFate[] = []
  const setup = { node: id, prefix: 'a', ttlMs: LEASE_TTL_MS, timeoutMs: 200 }
  const service = faulty(new MemoryLease(election, setup), fates)
  const holder = new LeaseHolder({
    ...{ service, seal: OPEN_SEAL, validity, isAcknowledged: true },
    address: `${id}:1`,
    node: () => id,
    epoch: () => node.epoch,
    position: () => node.position,
    agreedUntilMs: () => node.agreedUntilMs,
  })
  const position = { epoch: 1, txid: 1 }
  const node: LeaseNode = {
    ...{ id, seal: OPEN_SEAL, validity, holder, epoch: 1, position, agreedUntilMs: 0, fates },
  }
  return node
}

/** Runs `work` under a clock of its own, which goes on by `run`. */
export async function underClock(
  work: (clock: { run(ms: number): Promise<void> }) => Promise<void>,
): Promise<void> {
  const scheduler = new Scheduler()
  const restore = replaceTime(scheduler)
  try {
    await work({ run: (ms) => scheduler.run(scheduler.elapsedMs + ms) })
  } finally {
    restore()
  }
}

function faulty(service: LeaseService, fates: CallFate[]): LeaseService {
  return new Proxy(service, {
    get(of, name) {
      const call = Reflect.get(of, name)
      if (typeof call !== 'function') return call
      return async (...given: unknown[]) => {
        const fate = fates.shift() ?? 'well'
        const away = new WalcastError('ELECTION_AWAY', { service: 'memory', detail: fate })
        if (fate === 'unheard') throw away
        const answer = await Reflect.apply(call, of, given)
        if (fate === 'unanswered') throw away
        return answer
      }
    },
  })
}
