/**
 * Where the parts of a node put what they learn that concerns its role. They are made before the
 * roles are; what is put here before anybody reads is lost, since a node that has no role yet does
 * nothing about it.
 */

import { monotonicMs } from '../platform/time.ts'
import type { Leadership } from '../proxy/leadership.ts'
import type { LeaseValidity } from './election/leaseValidity.ts'
import type { Standstill } from './election/standstill.ts'
import type { RoleNews, RoleStepEnd } from './state/roleEvents.ts'

export type RoleInboxEvent = RoleNews | RoleStepEnd

export class RoleInbox implements Leadership {
  readonly #standstill: Standstill
  readonly #validity: LeaseValidity | undefined
  #read: ((event: RoleInboxEvent) => void) | undefined
  #lookingAtOnce: Promise<void> = Promise.resolve()

  /** `validity`: of the lease by which this node leads; undefined when it needs none. */
  constructor(standstill: Standstill, validity: LeaseValidity | undefined) {
    this.#standstill = standstill
    this.#validity = validity
  }

  /** Has `read` called with each event from now on, within `post`. There is one reader. */
  readBy(read: (event: RoleInboxEvent) => void): void {
    this.#read = read
  }

  post(event: RoleInboxEvent): void {
    this.#read?.(event)
  }

  checkAlive(): void {
    const forMs = this.#standstill.look()
    if (forMs > 0) {
      this.#validity?.distrust(monotonicMs())
      this.post({ type: 'stoodStill', forMs })
    }
    if (this.#validity && monotonicMs() >= this.#validity.untilMs) this.post({ type: 'leaseDue' })
  }

  laterEpochSeen(epoch: number): Promise<void> {
    this.post({ type: 'laterEpochSeen', epoch })
    return this.#lookingAtOnce
  }

  higherEpochHeard(node: string, epoch: number): void {
    this.post({ type: 'higherEpochHeard', by: { node, epoch, term: undefined, address: '' } })
  }

  /** The others are being asked because of a later epoch: whoever has seen one waits for that. */
  lookingAtOnce(until: Promise<void>): void {
    this.#lookingAtOnce = until
  }
}
