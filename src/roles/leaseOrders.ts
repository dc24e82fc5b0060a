/** Carries out what is ordered of the lock service. */
import { isErrorCode, keyOf, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { Election } from './election/election.ts'
import type { RoleStepEnd } from './state/roleEvents.ts'
import type { LeaseOrder } from './state/roleOrders.ts'

/** How long a leader that starts waits for the service, or the end of its last lease, in TTLs. */
const START_PATIENCE = 3
const RETRIES = 10

export class LeaseOrders {
  readonly #election: Election | undefined
  readonly #node: () => string
  readonly #end = new AbortController()

  /** Undefined: operators alone decide who leads, and nothing of this is ordered. */
  constructor(election: Election | undefined, node: () => string) {
    this.#election = election
    this.#node = node
  }

  /** What waits ends. */
  stop(): void {
    this.#end.abort()
  }

  /** Gives the event that tells of the end. */
  async carryOut(order: LeaseOrder): Promise<RoleStepEnd> {
    const election = this.#election
    if (!election) throw new WalcastError('INTERNAL', { detail: 'there is no lock service' })
    switch (order.do) {
      case 'takeLease':
        return { type: 'leaseTaken', epoch: await this.#take(election, order) }
      case 'handLease':
        await election.handTo(order.to)
        return { type: 'leaseHanded' }
    }
  }

  async #take(
    election: Election,
    how: Extract<LeaseOrder, { readonly do: 'takeLease' }>,
  ): Promise<number> {
    const { ttlMs } = election
    const endMs = monotonicMs() + START_PATIENCE * ttlMs
    for (;;)
      try {
        return await election.take(how)
      } catch (error) {
        if (!how.asBefore || !this.#mayPass(error) || monotonicMs() > endMs) throw error
        await delay(ttlMs / RETRIES, { signal: this.#end.signal }).catch(() => {})
        if (this.#end.signal.aborted) throw new WalcastError('STOPPING')
      }
  }

  /** The service comes back, and the lease of the process before this one ends by itself. */
  #mayPass(error: unknown): boolean {
    const key = keyOf(error)
    if (key === undefined || !isErrorCode(key)) return false
    if (key === 'ELECTION_AWAY') return true
    return (
      key === 'LEASE_HELD' &&
      error instanceof WalcastError &&
      error.details['node'] === this.#node()
    )
  }
}
