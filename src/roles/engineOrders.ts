/**
 * Carries out what is ordered of this node's own database, role file and writers. One order at a
 * time.
 */
import type { EngineParts } from '../database/engine.ts'
import { buildLeader } from '../database/leaderEngine.ts'
import { buildReplica } from '../database/replicaEngine.ts'
import { WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { EngineSlot } from './engineSlot.ts'
import { followingRecord, leadingRecord } from './leadershipRecord.ts'
import type { RoleStepEnd } from './state/roleEvents.ts'
import type { EngineOrder } from './state/roleOrders.ts'

const LOOK_MS = 2

/** The epochs in which a lock service has this node lead. */
export interface LeaseEpochs {
  /** Throws LEASE_LOST or ELECTION_AWAY: it must not begin to lead in this epoch. */
  requireEpoch(epoch: number): Promise<void>
}

export class EngineOrders {
  readonly #parts: EngineParts
  readonly #slot: EngineSlot
  readonly #lease: LeaseEpochs | undefined
  /** Given up by one engine, with its write lock, for the next one. */
  #held: HeldDatabase | undefined

  constructor(parts: EngineParts, slot: EngineSlot, lease: LeaseEpochs | undefined) {
    this.#lease = lease
    this.#parts = parts
    this.#slot = slot
  }

  /** Gives the event that tells of the end. */
  async carryOut(order: EngineOrder): Promise<RoleStepEnd> {
    const slot = this.#slot
    switch (order.do) {
      case 'openLeader':
        slot.enter(await buildLeader(this.#parts))
        return { type: 'leaderOpened' }
      case 'openReplica':
        slot.enter(await buildReplica(this.#parts, order.leader))
        return { type: 'followed' }
      case 'lockCopy':
        await slot.requireFollowing().replica.holdLock(order.timeoutMs)
        return { type: 'copyLocked' }
      case 'retire':
        return this.#retire(order.next)
      case 'recordLeading':
      case 'recordLeadingOn':
      case 'recordFollowing':
      case 'restoreRecord':
        await this.#record(order)
        return { type: 'recorded' }
      case 'beginCapture':
        await this.#beginCapture(order.raisedAt)
        return { type: 'captureBegun' }
      case 'admitWriters':
        await slot.requireLeading().leader.admitWriters()
        return { type: 'writersAdmitted' }
      case 'follow':
        await this.#follow(order.leader)
        return { type: 'followed' }
      case 'redirect':
        slot.requireFollowing().replica.follow(order.leader)
        await this.#parts.nodeFile.update({ leader: order.leader })
        return { type: 'redirected' }
      case 'endCheckpoints':
        await slot.requireLeading().leader.endCheckpoints()
        return { type: 'checkpointsEnded' }
      case 'takeFence':
        await slot.requireLeading().leader.takeFence(order.timeoutMs)
        return { type: 'fenced' }
      case 'drain':
        return { type: 'drained', ...(await slot.requireLeading().leader.drain()) }
      case 'awaitQuiet':
      case 'awaitAllLevel':
      case 'awaitNearlyLevel':
      case 'awaitConfirmed':
      case 'awaitStreaming':
        return this.#wait(order)
    }
  }

  async #retire(
    next: Extract<EngineOrder, { readonly do: 'retire' }>['next'],
  ): Promise<RoleStepEnd> {
    const { leading } = this.#slot
    if (leading) {
      this.#held = await leading.retire(next)
      return { type: 'retired', held: this.#held.position, isTrusted: true }
    }
    const following = this.#slot.requireFollowing()
    this.#held = await following.retire()
    const { isTrusted } = following.replica.status
    return { type: 'retired', held: this.#held?.position, isTrusted }
  }

  async #record(
    order: Extract<EngineOrder, { readonly do: `record${string}` | 'restoreRecord' }>,
  ): Promise<void> {
    const { nodeFile, clock } = this.#parts
    switch (order.do) {
      case 'recordLeading':
        await this.#lease?.requireEpoch(order.begins.epoch)
        return nodeFile.update(
          leadingRecord(nodeFile.record, order.at, order.begins, clock.nowMs()),
        )
      case 'recordLeadingOn':
        return nodeFile.update({ role: 'leader', leader: '' })
      case 'recordFollowing': {
        const txid = this.#slot.engine?.view.position().txid
        return nodeFile[order.how](followingRecord(nodeFile, order.leader, txid, clock.nowMs()))
      }
      case 'restoreRecord':
        return nodeFile.insist(order.before)
    }
  }

  /** What throws leaves the database as it was: it can be followed with. */
  async #beginCapture(raisedAt: number | undefined): Promise<void> {
    const held = this.#held
    if (!held) throw new WalcastError('INTERNAL', { detail: 'no database was given up' })
    const { epoch, incarnation } = this.#parts.nodeFile.record
    const position = raisedAt === undefined ? held.position : { epoch, incarnation, txid: raisedAt }
    const engine = await buildLeader(this.#parts, { ...held, position })
    this.#held = undefined
    this.#slot.enter(engine)
  }

  /**
   * With the database that was given up, or with what is there. Resolves before the leader is
   * reached.
   */
  async #follow(leader: string | undefined): Promise<void> {
    const { replicas, traffic } = this.#parts
    replicas.clear()
    const engine = await buildReplica(this.#parts, leader, this.#held)
    this.#held = undefined
    this.#slot.enter(engine)
    traffic.onFollowing(leader)
  }

  async #wait(
    order: Extract<EngineOrder, { readonly do: `await${string}` }>,
  ): Promise<RoleStepEnd> {
    const { traffic, replicas } = this.#parts
    const { timeoutMs } = order
    switch (order.do) {
      case 'awaitQuiet':
        return { type: 'quiet', isQuiet: await traffic.admission.quiet(timeoutMs) }
      case 'awaitConfirmed': {
        const { acknowledgements } = this.#slot.requireLeading().leader
        const isConfirmed = await acknowledgements.confirm(order.node, order.drained, timeoutMs)
        return { type: 'confirmed', isConfirmed }
      }
      case 'awaitAllLevel': {
        const areLevel = () =>
          replicas.list().every((each) => !each.connected || (each.txid ?? 0) >= order.txid)
        return { type: 'levelled', isLevel: await until(areLevel, timeoutMs) }
      }
      case 'awaitNearlyLevel': {
        const isNearlyLevel = () => this.#isNearlyLevel(order.node)
        return { type: 'levelled', isLevel: await until(isNearlyLevel, timeoutMs) }
      }
      case 'awaitStreaming': {
        const { replica } = this.#slot.requireFollowing()
        const isStreaming = await until(() => replica.status.state === 'streaming', timeoutMs)
        return { type: 'streaming', isStreaming }
      }
    }
  }

  /** Takes everything that is sent, and has taken nearly all of it. */
  #isNearlyLevel(node: string): boolean {
    const { replicas } = this.#parts
    const isStreaming = replicas
      .list()
      .some((each) => each.node === node && each.state === 'streaming')
    const link = replicas.links().find((each) => each.node === node)
    return isStreaming && link?.bufferedBytes === 0
  }
}

async function until(check: () => boolean, timeoutMs: number): Promise<boolean> {
  for (const endMs = monotonicMs() + timeoutMs; !check(); await delay(LOOK_MS))
    if (monotonicMs() > endMs) return false
  return true
}
