/** How a leader ceases to lead, or leads on in a higher epoch, because of what another node has done: nobody is asked. */
import { NOWHERE, partingPoint } from '../../proto/lineage.ts'
import { keyOf, messageOf } from '../errors.ts'
import { isLacking, isPutBack, lackingText, type SeenHistory } from '../leader/seenHistory.ts'
import type { CurrentEngine } from './currentEngine.ts'
import type { EngineParts } from './engine.ts'
import type { LeaderEngine } from './leaderNode.ts'
import type { LeadershipBegins, Promotion } from './promotion.ts'
import type { RoleJournal } from './roleJournal.ts'

export interface GivingWayParts {
  readonly setup: EngineParts['setup']
  readonly traffic: EngineParts['traffic']
  readonly nodeFile: EngineParts['nodeFile']
  readonly journal: RoleJournal
  readonly current: CurrentEngine
  readonly promotion: Promotion
  /** Whether the node ends: a transaction that does not is not waited for any longer. */
  isEnded(): boolean
}

/** One attempt to take the fence from a transaction that does not end. */
const FENCE_TRY_MS = 1000

export class GivingWay {
  readonly #parts: GivingWayParts

  constructor(parts: GivingWayParts) {
    this.#parts = parts
  }

  /** Another node leads: nobody writes here from now on, as soon as a transaction that is under way has ended. */
  async stepDown(leading: LeaderEngine, reason: string, leader: string | undefined): Promise<void> {
    const { setup, traffic, journal, current } = this.#parts
    setup.log.error({ reason, leader }, 'this node leads no more: another one does, in a higher epoch')
    traffic.admission.hold('change', 'another node leads')
    await this.#fence(leading)
    await current.orFatal(leading.leader.drain())
    // Whatever the disk says: the other one leads. A full one is why somebody was promoted, perhaps.
    await current
      .recordFollowing(leader ?? '', 'insist')
      .catch((error) =>
        setup.log.error({ error: messageOf(error) }, 'the role file still says that this node leads'),
      )
    const held = await current.orFatal(leading.retire(undefined))
    await current.follow(held, leader)
    journal.changed(reason, 'the node itself')
  }

  /** Leads on in a higher epoch, which begins with the very state that is there. */
  async raise(leading: LeaderEngine, epoch: number, reason: string): Promise<void> {
    await this.#leadOn(leading, reason, () => {
      const { term } = this.#parts.nodeFile.record
      return { epoch, term, exact: true }
    })
  }

  /**
   * The same above what another node has seen of this node's own history, which this leader lacks: its state was put back. What was
   * numbered since the histories parted may mean two things, and counts as unknown from then on.
   */
  async raiseAboveLost(leading: LeaderEngine, seen: SeenHistory): Promise<void> {
    const { nodeFile } = this.#parts
    const { epoch, txid } = seen
    const reason = lackingText(seen)
    // Told by several nodes: the first raise is above the others, too.
    if (!isPutBack(leading.leader.position, nodeFile.record.lineage, seen)) return
    await this.#leadOn(leading, reason, () => {
      const standing = leading.leader.position
      const { lineage, epoch: mine, term } = nodeFile.record
      // One that knows of a higher epoch only lacks nothing, and is lacking nothing here. What is common to none is not known.
      const parting = isLacking(standing, lineage, seen)
        ? (partingPoint(standing, lineage, seen.trail) ?? { ...NOWHERE, isProven: false })
        : undefined
      return {
        epoch: Math.max(mine, epoch, seen.highestEpoch) + 1,
        term: Math.max(term, seen.term),
        exact: parting?.isProven ?? true,
        putBack: { parting, txid: Math.max(standing.txid, txid) + 1, reason },
      }
    })
  }

  async #leadOn(leading: LeaderEngine, reason: string, beginning: () => LeadershipBegins): Promise<void> {
    const { setup, traffic, journal, current, promotion, nodeFile } = this.#parts
    setup.log.warn({ reason }, 'the epoch is raised')
    traffic.admission.hold('change', 'the epoch is being raised')
    await this.#fence(leading)
    await current.orFatal(leading.leader.drain())
    const begins = beginning()
    try {
      await promotion.record(leading.leader.position, begins)
    } catch (error) {
      // The replicas stay connected; it is tried again when the others are looked at the next time.
      setup.log.error(
        { error: messageOf(error) },
        'the epoch could not be raised: this node leads on in the one before',
      )
      return current.carryOn(leading)
    }
    const held = await current.orFatal(leading.retire(undefined))
    const txid = begins.putBack?.txid ?? held.position.txid
    const { epoch, incarnation } = nodeFile.record
    await promotion.leadFrom({ ...held, position: { epoch, incarnation, txid } })
    journal.changed(reason, 'the node itself')
  }

  async #fence({ leader }: LeaderEngine): Promise<void> {
    for (;;) {
      try {
        return await leader.takeFence(FENCE_TRY_MS)
      } catch (error) {
        if (keyOf(error) !== 'FENCE_FAILED' || this.#parts.isEnded()) throw error
        this.#parts.setup.log.warn(
          'a transaction of the application keeps this node from following; waiting for its end',
        )
      }
    }
  }
}
