/**
 * What this node is and knows at the moment of a decision about its role. Each part is read when it
 * is asked for.
 */
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import { ownAddress } from '../options/address.ts'
import type { Clock } from '../platform/clock.ts'
import { monotonicMs } from '../platform/time.ts'
import type { WriteGate } from '../proxy/writeGate.ts'
import type { EngineSlot } from './engineSlot.ts'
import type { CopyFacts, LeaseFacts, LedFacts, RoleFacts, RoleRules } from './state/roleFacts.ts'

export interface NodeFactsParts {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly nodeFile: NodeFile
  readonly members: Members
  readonly replicas: ReplicaList
  readonly admission: WriteGate
  readonly slot: EngineSlot
  /** Undefined when operators alone decide who leads. */
  readonly lease: () => LeaseFacts | undefined
}

export class NodeFacts implements RoleFacts {
  readonly #parts: NodeFactsParts
  readonly rules: RoleRules
  readonly address: string

  constructor(parts: NodeFactsParts) {
    this.#parts = parts
    const { options } = parts.setup
    const { switchoverTimeoutMs, fenceWhenAloneMs, leader: givenLeader } = options
    this.rules = { switchoverTimeoutMs, fenceWhenAloneMs, givenLeader }
    this.address = ownAddress(options)
  }

  get nowMs(): number {
    return this.#parts.clock.nowMs()
  }

  get monotonicMs(): number {
    return monotonicMs()
  }

  get record(): RoleFacts['record'] {
    return this.#parts.nodeFile.record
  }

  get recordPath(): string {
    return this.#parts.nodeFile.path
  }

  get members(): RoleFacts['members'] {
    return this.#parts.members.list()
  }

  get everybody(): readonly string[] {
    const { members, slot } = this.#parts
    const { givenLeader } = this.rules
    const followed = slot.following?.replica.leaderAddress
    const all = [
      ...(givenLeader ? [givenLeader] : []),
      ...members.addresses(),
      ...(followed ? [followed] : []),
    ]
    return [...new Set(all)].filter((each) => each !== this.address)
  }

  get led(): LedFacts | undefined {
    const { slot, replicas } = this.#parts
    const leader = slot.leading?.leader
    if (!leader) return undefined
    const { position, isFenced } = leader
    return { position, isFenced, lastHeardMs: replicas.lastHeardMs }
  }

  get copy(): CopyFacts | undefined {
    const engine = this.#parts.slot.following
    if (!engine) return undefined
    const { replica, view } = engine
    const { hasCopy, isTrusted, state, checksum, connected, follows, leaderNode } = replica.status
    const { position, stoodAt, leaderAddress, lag } = replica
    return {
      role: this.#parts.nodeFile.record.standby ? 'standby' : 'replica',
      hasCopy,
      isTrusted,
      state,
      checksum,
      position,
      stoodAt,
      leaderAddress,
      connected,
      follows,
      leaderNode,
      leaderTxid: lag.summary().leaderTxid,
      staleMs: view.staleMs(),
    }
  }

  get replicas(): RoleFacts['replicas'] {
    return this.#parts.replicas.list()
  }

  get lease(): LeaseFacts | undefined {
    return this.#parts.lease()
  }

  get heldWrites(): number {
    return this.#parts.admission.heldTotal
  }
}
