/**
 * Moves leadership between simulated nodes, in the order in which a switchover goes
 * (docs/how-it-works.md): the engines and the role files are the real ones, and so is the judgement
 * of who may lead. The calls between the nodes are made here: `roles` needs a whole node.
 */
import { isFurther } from '../../proto/position.ts'
import { keyOf, messageOf } from '../../src/errors.ts'
import type { LeadershipBegun } from '../../src/leader/leaderOptions.ts'
import { judge } from '../../src/roles/election/fitness.ts'
import type { HeldDatabase } from '../../src/sqlite/heldDatabase.ts'
import type { Network } from './network.ts'
import type { NodeProcess } from './nodeProcess.ts'
import { followingRecord, leadingRecord } from './roleRecords.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { Trace } from './trace.ts'

const FENCE_MS = 500
const CONFIRM_MS = 1000
/** How long the other node may take to lead. */
const GIVE_MS = 2000
const LOCK_MS = 500
const FINISH_MS = 2000

type Drained = Pick<LeadershipBegun, 'epoch' | 'txid'> & { readonly checksum: string }

export interface LeadershipMovesParts {
  readonly scheduler: Scheduler
  readonly network: Network
  readonly trace: Trace
  readonly onFailed: (error: unknown) => void
}

/** The one with the furthest position, if it may lead at all. */
function furthest(processes: readonly NodeProcess[]): NodeProcess | undefined {
  const [best] = [...processes].sort((a, b) => (isFurther(at(a), at(b)) ? -1 : 1))
  const status = best?.replica?.status
  return status?.hasCopy && status.isTrusted && status.state !== 'syncing' ? best : undefined
}

function at({ replica }: NodeProcess) {
  return replica?.position ?? { epoch: 0, txid: 0 }
}

export class LeadershipMoves {
  readonly #parts: LeadershipMovesParts

  constructor(parts: LeadershipMovesParts) {
    this.#parts = parts
  }

  /** The leader `from` is to hand over to the replica `to`. */
  switchOver(from: SimulatedNode, to: SimulatedNode): void {
    const { process } = from
    if (!process?.leader || process.isChanging) return
    this.#parts.trace.add(from.id, `is to hand over to ${to.id}`)
    this.#change(process, () => this.#switchOver(process, to))
  }

  /** The best of `nodes`, all of which are up and follow nobody that leads, is to lead. */
  promote(nodes: readonly SimulatedNode[]): void {
    const processes = nodes.flatMap(({ process }) => (process?.replica ? [process] : []))
    const fit = processes.find((process) => this.#isFit(process, processes))
    if (!fit || processes.some(({ isChanging }) => isChanging)) return
    this.#parts.trace.add(fit.node.id, 'is promoted')
    const epoch = Math.max(...processes.map(({ nodeFile }) => nodeFile.record.epoch)) + 1
    this.#change(fit, async () => {
      await this.#take(fit, undefined, epoch)
    })
  }

  /**
   * `lost` led and is down: the one that has most of what it committed is to lead. `then` is called
   * when that is decided, one way or the other.
   */
  failOver(lost: SimulatedNode, others: readonly SimulatedNode[], then: () => void): void {
    const best = furthest(others.flatMap(({ process }) => (process ? [process] : [])))
    if (!best || best.isChanging) return then()
    this.#parts.trace.add(best.node.id, `is promoted in the place of ${lost.id}`)
    const epoch = Math.max(lost.lastEpoch, best.nodeFile.record.epoch) + 1
    this.#change(best, () => this.#take(best, undefined, epoch).then(then))
  }

  #isFit(process: NodeProcess, all: readonly NodeProcess[]): boolean {
    const { replica, node } = process
    if (!replica) return false
    const { hasCopy, isTrusted, state } = replica.status
    const { position, stoodAt, lag } = replica
    const { leaderTxid } = lag.summary()
    const peers = all
      .filter((other) => other !== process)
      .map((other) => ({
        node: other.node.id,
        address: other.address,
        role: 'replica',
        epoch: other.replica?.position.epoch ?? 0,
        txid: other.replica?.position.txid ?? 0,
      }))
    const isSyncing = state === 'syncing'
    const { reasons } = judge(
      { hasCopy, isSyncing, isTrusted, position, leaderTxid, stoodAt },
      peers,
    )
    if (reasons.length > 0) this.#parts.trace.add(node.id, `may not lead: ${reasons.join('; ')}`)
    return reasons.length === 0
  }

  #change(process: NodeProcess, work: () => Promise<void>): void {
    const { scheduler, trace, onFailed } = this.#parts
    process.isChanging = true
    const done = () => {
      process.isChanging = false
    }
    const failed = (error: unknown) => {
      trace.add(process.node.id, `a change of role has failed: ${messageOf(error)}`)
      done()
      if (keyOf(error) === undefined || keyOf(error) === 'INTERNAL') onFailed(error)
    }
    scheduler.after(0, () => void work().then(done, failed), process)
  }

  async #switchOver(process: NodeProcess, to: SimulatedNode): Promise<void> {
    const { leader } = process
    const drained = leader && (await this.#stopWriting(process, to))
    if (!leader || !drained) return
    const before = process.nodeFile.record
    await process.nodeFile.update(followingRecord(to.address))
    const untilMs = this.#parts.scheduler.elapsedMs + GIVE_MS
    const outcome = await this.#call(process, to, GIVE_MS, (target) =>
      this.#take(target, { drained, untilMs }, drained.epoch + 1),
    )
    if (outcome === 'refused') {
      const { role, leader: followed } = before
      await process.nodeFile.update({ role, leader: followed })
      return leader.admitWriters()
    }
    const next = { epoch: drained.epoch + 1, node: to.id, address: to.address }
    await process.follow(await leader.handOver(outcome === 'taken' ? next : undefined))
  }

  /** Undefined when it leads on. */
  async #stopWriting(process: NodeProcess, to: SimulatedNode): Promise<Drained | undefined> {
    const { leader } = process
    if (!leader) return undefined
    await leader.endCheckpoints()
    try {
      await leader.takeFence(FENCE_MS)
      const drained = await leader.drain()
      if (await leader.acknowledgements.confirm(to.id, drained, CONFIRM_MS)) return drained
      this.#parts.trace.add(process.node.id, `leads on: ${to.id} did not confirm its position`)
    } catch (error) {
      this.#parts.trace.add(process.node.id, `leads on: ${messageOf(error)}`)
    }
    await leader.admitWriters()
    return undefined
  }

  /** Whether it leads now; otherwise it follows as before. */
  async #take(
    process: NodeProcess,
    expected: { readonly drained: Drained; readonly untilMs: number } | undefined,
    epoch: number,
  ): Promise<boolean> {
    const { replica, nodeFile } = process
    if (!replica) return false
    try {
      await replica.holdLock(LOCK_MS)
    } catch (error) {
      if (keyOf(error) !== 'FENCE_FAILED') throw error
      return false
    }
    const held = await replica.handOver(FINISH_MS)
    if (!held) throw new Error(`${process.node.id} has no copy to lead with`)
    if (expected && !this.#isAsExpected(held, expected)) {
      await process.follow(held)
      return false
    }
    await nodeFile.update(leadingRecord(nodeFile.record, held.position, epoch))
    await process.lead(held)
    return true
  }

  #isAsExpected(
    { position, sums }: HeldDatabase,
    { drained, untilMs }: { readonly drained: Drained; readonly untilMs: number },
  ): boolean {
    const isSame = position.epoch === drained.epoch && position.txid === drained.txid
    const checksum = sums.settled.state.toString(16).padStart(16, '0')
    return isSame && checksum === drained.checksum && this.#parts.scheduler.elapsedMs <= untilMs
  }

  /** Has `work` done at the other node, and waits for its answer as long as `timeoutMs`. */
  #call(
    from: NodeProcess,
    to: SimulatedNode,
    timeoutMs: number,
    work: (target: NodeProcess) => Promise<boolean>,
  ): Promise<'taken' | 'refused' | 'unknown'> {
    const { scheduler, network } = this.#parts
    return new Promise((resolve) => {
      scheduler.after(timeoutMs, () => resolve('unknown'), from)
      const isParted = () => network.isParted(from.address, to.address)
      const answer = (outcome: 'taken' | 'refused') => {
        if (!isParted()) scheduler.after(network.latencyMs(), () => resolve(outcome), from)
      }
      const target = to.process
      if (!target?.replica || isParted()) return
      const ask = () => {
        if (target.isChanging) return answer('refused')
        this.#change(target, async () => answer((await work(target)) ? 'taken' : 'refused'))
      }
      scheduler.after(network.latencyMs(), ask, target)
    })
  }
}
