/** What this node has other nodes do, in its own name. */

import { TAKE_OVER_PATH, TWIN_PATH } from '../api/roleActions.ts'
import { DEMOTE_PATH, SWITCHOVER_PATH, type SwitchoverAnswer } from '../api/roleAnswers.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { PeerCalls, PeerClock } from '../cluster/peerCalls.ts'
import type { EngineParts } from '../database/engine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { Claims } from '../security/claims.ts'
import type { PeerOrder } from './state/roleOrders.ts'

/** The longest that the application of a new leader is waited for. */
export const APPLICATION_MS = 60_000

export interface PeerCommandsParts {
  readonly setup: EngineParts['setup']
  readonly calls: PeerCalls
  readonly nodeFile: Pick<NodeFile, 'record'>
  /** HOST:PORT of this node. */
  readonly address: string
  /** Judges the numbers that answers tell. */
  readonly claims: Claims
}

export class PeerCommands {
  readonly #parts: PeerCommandsParts

  constructor(parts: PeerCommandsParts) {
    this.#parts = parts
  }

  /** The node there and its clock; undefined when it does not answer. */
  clock(address: string, timeoutMs: number): Promise<PeerClock | undefined> {
    return this.#parts.calls.clock(address, timeoutMs)
  }

  /**
   * The node `to` leads from the state that this leader, fenced, has been drained to. Throws what
   * `PeerCalls.tell` throws, and CLAIM_REFUSED.
   */
  async takeOver({
    to,
    drained,
    by,
    untilMs: until,
    aheadMs,
    timeoutMs,
  }: Extract<PeerOrder, { readonly do: 'giveTo' }>): Promise<{
    readonly epoch: number
    readonly txid: number
  }> {
    const { node: from } = this.#parts.nodeFile.record
    const parameters = { ...drained, from, to: to.node, by, until }
    const clock = { node: to.node, aheadMs }
    const { calls } = this.#parts
    const answer = await calls.tell(to.address, TAKE_OVER_PATH, parameters, timeoutMs, clock)
    const { epoch, txid } = answer
    // It may lead all the same: the caller must not go on as the leader.
    if (typeof epoch !== 'number' || typeof txid !== 'number')
      throw new WalcastError('NODE_ANSWER', {
        url: `http://${to.address}`,
        detail: 'without a position',
      })
    this.#parts.claims.require({ epoch, txid })
    return { epoch, txid }
  }

  /** The node there follows this one. Throws what `PeerCalls.tell` throws. */
  follow(address: string): Promise<Record<string, unknown>> {
    const { setup, calls, nodeFile, address: own } = this.#parts
    const { node, epoch } = nodeFile.record
    const parameters = { leader: own, epoch, by: `node ${node} (${own})` }
    return calls.tell(address, DEMOTE_PATH, parameters, setup.options.peerTimeoutMs)
  }

  /**
   * The process at `address` has the id of the one at `of`, and came later. It finds out by asking
   * that one. Never rejects.
   */
  async twin(address: string, of: string): Promise<void> {
    const { setup, calls } = this.#parts
    const parameters = { address: of }
    await calls.tell(address, TWIN_PATH, parameters, setup.options.peerTimeoutMs).catch((error) => {
      setup.log.warn(
        { address, error: messageOf(error) },
        'a process with the id of another one could not be told',
      )
    })
  }

  /** The leader there hands over. Throws NO_LEADER for '', and what `PeerCalls.tell` throws. */
  async switchover(
    leader: string,
    { to, timeoutMs }: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer> {
    if (leader === '') throw new WalcastError('NO_LEADER')
    const { peerTimeoutMs, switchoverTimeoutMs } = this.#parts.setup.options
    const limitMs = 2 * (timeoutMs ?? switchoverTimeoutMs) + 5 * peerTimeoutMs + APPLICATION_MS
    const parameters = { by, ...(to ? { to } : {}), ...(timeoutMs ? { timeoutMs } : {}) }
    const { calls } = this.#parts
    const answer: unknown = await calls.tell(leader, SWITCHOVER_PATH, parameters, limitMs)
    return answer as SwitchoverAnswer
  }
}
