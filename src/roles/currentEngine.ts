/** The engine of the present role, and what every passage to the next one does in the same way. */

import type { DelegatingView } from '../database/delegatingView.ts'
import type { EngineParts } from '../database/engine.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import { buildReplica, type ReplicaEngine } from '../database/replicaEngine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { ownAddress } from '../options/address.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { type AloneLeader, aloneLeader } from './isolationFence.ts'

export interface CurrentEngineParts extends EngineParts {
  readonly view: DelegatingView
}

export class CurrentEngine {
  readonly #parts: CurrentEngineParts
  #engine: LeaderEngine | ReplicaEngine | undefined
  #alone: AloneLeader | undefined

  constructor(parts: CurrentEngineParts) {
    this.#parts = parts
  }

  /** Undefined while the node starts. */
  get engine(): LeaderEngine | ReplicaEngine | undefined {
    return this.#engine
  }

  /** What closes this node while it leads and hears nobody; undefined while it follows. */
  get alone(): AloneLeader | undefined {
    return this.#alone
  }

  /** Throws ALREADY_LEADER or STARTING. */
  following(): ReplicaEngine {
    if (this.#engine?.role === 'leader')
      throw new WalcastError('ALREADY_LEADER', { epoch: this.#parts.nodeFile.record.epoch })
    if (!this.#engine) throw new WalcastError('STARTING')
    return this.#engine
  }

  /** Throws NOT_LEADER. */
  leading(): LeaderEngine {
    if (this.#engine?.role === 'leader') return this.#engine
    const { setup, nodeFile } = this.#parts
    throw new WalcastError('NOT_LEADER', {
      address: ownAddress(setup.options),
      role: nodeFile.record.role,
    })
  }

  /** From now on this engine is the node's. */
  enter(engine: LeaderEngine | ReplicaEngine): void {
    const { setup, view, members, traffic, onMoved } = this.#parts
    this.#engine = engine
    this.#alone =
      engine.role === 'leader'
        ? aloneLeader(engine.leader, traffic.admission, setup.log)
        : undefined
    view.engine = engine
    members.onChanged = (change) => engine.tellMember(change)
    onMoved()
  }

  /**
   * After the fence was taken for a change of role that came to nothing: leads on as before, which
   * may be fenced because it is alone.
   */
  async carryOn({ leader }: LeaderEngine): Promise<void> {
    if (!this.#alone?.isClosed) await leader.admitWriters()
    this.#parts.traffic.admission.release('change')
  }

  /** In the role file: this node leads no more. */
  recordFollowing(leader: string, how: 'update' | 'insist' = 'update'): Promise<void> {
    const { nodeFile, clock, view } = this.#parts
    const { standby, epoch } = nodeFile.record
    const at = new Date(clock.nowMs()).toISOString()
    const demoted = this.#engine ? { at, epoch, txid: view.position().txid } : { at, epoch }
    return nodeFile[how]({ role: standby ? 'standby' : 'replica', leader, demoted })
  }

  /**
   * Goes on as a replica, with a database whose write lock is held or with what is there. Resolves
   * before the leader is reached.
   */
  async follow(held: HeldDatabase | undefined, leader: string | undefined): Promise<ReplicaEngine> {
    this.#parts.replicas.clear()
    const engine = await this.orFatal(buildReplica(this.#parts, leader, held))
    this.enter(engine)
    this.#parts.traffic.onFollowing(leader)
    return engine
  }

  /** A failure that leaves the node between two roles: only a new start helps. */
  async orFatal<T>(step: Promise<T>): Promise<T> {
    try {
      return await step
    } catch (error) {
      const detail = messageOf(error)
      const known =
        error instanceof WalcastError ? error : new WalcastError('INTERNAL', { detail }, error)
      this.#parts.onFatal(known)
      throw new WalcastError('INTERNAL', { detail }, known)
    }
  }
}
