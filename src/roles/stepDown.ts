/**
 * How a leader ceases to lead, or leads on in a higher epoch, because of what another node has
 * done: nobody is asked.
 */

import type { EngineParts } from '../database/engine.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import { keyOf, messageOf } from '../errors.ts'
import { aboveLost, isPutBack, lackingText, type SeenHistory } from '../feed/seenHistory.ts'
import type { CurrentEngine } from './currentEngine.ts'
import type { LeadershipBegins, Promotion } from './promotion.ts'
import type { RoleJournal } from './roleJournal.ts'

export interface StepDownParts {
  readonly setup: EngineParts['setup']
  readonly clock: EngineParts['clock']
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

/** After the disk did not take it: each attempt holds writes up. */
const RAISE_AGAIN_MS = 5000

export class StepDown {
  readonly #parts: StepDownParts
  #raiseAgainMs = 0

  constructor(parts: StepDownParts) {
    this.#parts = parts
  }

  /**
   * Another node leads: nobody writes here from now on, as soon as a transaction that is under way
   * has ended.
   */
  async stepDown(leading: LeaderEngine, reason: string, leader: string | undefined): Promise<void> {
    const { setup, traffic, journal, current } = this.#parts
    setup.log.error(
      { reason, leader },
      'this node leads no more: another one does, in a higher epoch',
    )
    traffic.admission.hold('change', 'another node leads')
    await this.#fence(leading)
    await current.orFatal(leading.leader.drain())
    // Whatever the disk says: the other one leads. A full one is why somebody was promoted,
    // perhaps.
    await current
      .recordFollowing(leader ?? '', 'insist')
      .catch((error) =>
        setup.log.error(
          { error: messageOf(error) },
          'the role file still says that this node leads',
        ),
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
   * The same above what other nodes have seen of this node's own history, which this leader lacks:
   * its state was put back. What was numbered since the histories parted may mean two things, and
   * counts as unknown from then on. Nothing happens when it lacks nothing.
   */
  async raiseAboveLost(seen: readonly SeenHistory[]): Promise<void> {
    const { nodeFile, current, clock } = this.#parts
    const leading = current.leading()
    const { lineage } = nodeFile.record
    const lost = seen.filter((each) => isPutBack(leading.leader.position, lineage, each))
    if (lost.length === 0 || clock.nowMs() < this.#raiseAgainMs) return
    const reason = lackingText(lost[0])
    await this.#leadOn(leading, reason, () => {
      const { position } = leading.leader
      const { epoch, term } = nodeFile.record
      const above = aboveLost(position, lineage, lost)
      return {
        epoch: Math.max(epoch + 1, above.epoch),
        term: Math.max(term, above.term),
        exact: above.isProven,
        putBack: { follows: above.follows, txid: above.txid, reason },
      }
    })
  }

  async #leadOn(
    leading: LeaderEngine,
    reason: string,
    beginning: () => LeadershipBegins,
  ): Promise<void> {
    const { setup, clock, traffic, journal, current, promotion, nodeFile } = this.#parts
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
      this.#raiseAgainMs = clock.nowMs() + RAISE_AGAIN_MS
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
