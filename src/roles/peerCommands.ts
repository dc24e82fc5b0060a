/** What this node has other nodes do, in its own name. */

import { TWIN_PATH } from '../api/roleActions.ts'
import { DEMOTE_PATH, SWITCHOVER_PATH, type SwitchoverAnswer } from '../api/roleAnswers.ts'
import { type PeerIdentity, tellPeer } from '../cluster/peerCalls.ts'
import type { EngineParts } from '../database/engine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import { APPLICATION_MS } from './switchover.ts'

export interface PeerCommandsParts {
  readonly setup: EngineParts['setup']
  readonly clock: Clock
  /** Of the node file. */
  record(): { readonly node: string; readonly epoch: number }
  /** HOST:PORT of this node. */
  address(): string
}

export class PeerCommands {
  readonly #parts: PeerCommandsParts
  readonly identity: PeerIdentity

  constructor(parts: PeerCommandsParts) {
    this.#parts = parts
    this.identity = {
      secret: parts.setup.secret,
      node: () => parts.record().node,
      epoch: () => parts.record().epoch,
      nowMs: () => parts.clock.nowMs(),
    }
  }

  /** The node there follows this one. Throws what `tellPeer` throws. */
  follow(address: string): Promise<Record<string, unknown>> {
    const { setup, record } = this.#parts
    const { node, epoch } = record()
    const own = this.#parts.address()
    const parameters = { leader: own, epoch, by: `node ${node} (${own})` }
    return tellPeer(this.identity, address, DEMOTE_PATH, parameters, setup.options.peerTimeoutMs)
  }

  /**
   * The process at `address` has the id of the one at `of`, and came later. It finds out by asking
   * that one. Never rejects.
   */
  async twin(address: string, of: string): Promise<void> {
    const { setup } = this.#parts
    const parameters = { address: of }
    await tellPeer(
      this.identity,
      address,
      TWIN_PATH,
      parameters,
      setup.options.peerTimeoutMs,
    ).catch((error) => {
      setup.log.warn(
        { address, error: messageOf(error) },
        'a process with the id of another one could not be told',
      )
    })
  }

  /** The leader there hands over. Throws NO_LEADER for '', and what `tellPeer` throws. */
  async switchover(
    leader: string,
    { to, timeoutMs }: { readonly to: string | undefined; readonly timeoutMs: number | undefined },
    by: string,
  ): Promise<SwitchoverAnswer> {
    if (leader === '') throw new WalcastError('NO_LEADER')
    const { peerTimeoutMs, switchoverTimeoutMs } = this.#parts.setup.options
    const limitMs = 2 * (timeoutMs ?? switchoverTimeoutMs) + 5 * peerTimeoutMs + APPLICATION_MS
    const parameters = { by, ...(to ? { to } : {}), ...(timeoutMs ? { timeoutMs } : {}) }
    const answer: unknown = await tellPeer(
      this.identity,
      leader,
      SWITCHOVER_PATH,
      parameters,
      limitMs,
    )
    return answer as SwitchoverAnswer
  }
}
