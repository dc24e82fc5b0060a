/**
 * Whether etcd has one member. The leader of several may be replaced while it stands still or is
 * cut off, and not know it: it goes on renewing leases for a while, and the new one does not hear
 * of that. So `etcdHolding.ts` has a renewal proved, which costs one more request.
 */
import { monotonicMs } from '../../../platform/time.ts'
import { EtcdRefusal, membersIn } from './etcdAnswers.ts'
import type { EtcdGateway } from './etcdGateway.ts'

/** Operators add members rarely. */
const ASK_AGAIN_MS = 60_000

export class EtcdMembers {
  readonly #gateway: EtcdGateway
  #isSingle = false
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(gateway: EtcdGateway) {
    this.#gateway = gateway
  }

  /** Throws ELECTION_AWAY, WrongAnswer. */
  async isSingle(untilMs: number): Promise<boolean> {
    if (monotonicMs() < this.#askedMs + ASK_AGAIN_MS) return this.#isSingle
    const request = { path: '/v3/cluster/member/list', body: '{}' }
    try {
      const { messages, sentMs } = await this.#gateway.call(request, untilMs)
      this.#isSingle = membersIn(messages[0]) === 1
      this.#askedMs = sentMs
    } catch (error) {
      if (!(error instanceof EtcdRefusal)) throw error
      // A user may lack the right to ask: there may be several.
      this.#isSingle = false
      this.#askedMs = monotonicMs()
    }
    return this.#isSingle
  }
}
