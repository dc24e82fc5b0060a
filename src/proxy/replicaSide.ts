/** Requests at a replica: the local application answers reads, the leader's answers writes. */

import type { DatabaseView } from '../api/databaseView.ts'
import type { FailedReadOutcome } from '../api/failedReads.ts'
import { keyOf, WalcastError } from '../errors.ts'
import type { OnStale } from '../options/nodeOptions.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { Application } from './application.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import type { Client, Held } from './client.ts'
import type { Consistency, Lacking, Wanted } from './consistency.ts'
import { deliver } from './delivery.ts'
import type { FailedReads } from './failedReads.ts'
import type { Forwarder } from './forwarder.ts'
import type { Gate } from './gate.ts'
import { fromClient, REPLAY_HEADER } from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { RateBudget } from './rateBudget.ts'
import { type Answer, settledBehind } from './relayedAnswer.ts'
import type { Bodies, ReplayableBody } from './replayableBody.ts'
import { isRead } from './routes.ts'

/**
 * What became of a read that asked for more than came in time. `bounded`: it was served here
 * because too many such reads were forwarded.
 */
export type StaleReadEnd = OnStale | 'bounded'

export interface ReplicaSideParts {
  /** Undefined while no application is known. */
  application(): Application | undefined
  readonly watch: ApplicationWatch
  readonly forwarder: Forwarder
  readonly consistency: Consistency
  readonly cookie: PositionCookie
  readonly bodies: Bodies
  readonly gate: Gate
  readonly view: DatabaseView
  /** Reads that the leader may answer because they failed here. */
  readonly failedReads: FailedReads
  readonly onStale: OnStale
  /** The longest wait of a read for what it asks. */
  readonly readWaitMs: number
  /** ... and while the leader cannot be reached, for a read that would be forwarded. */
  readonly holdMs: number
  /** For reads that are forwarded because of what their clients claim. */
  readonly staleForwards: RateBudget
  onStaleRead(did: StaleReadEnd): void
}

/** Pause between two looks whether the leader is back. */
const GATE_LOOK_MS = 50
/**
 * How long a failed read waits for a leader that is away. That covers a switchover, and does not
 * take the place of many writes.
 */
const FAILED_READ_HOLD_MS = 1000
/** Errors that mean that the leader executed nothing. */
const NOT_TAKEN: ReadonlySet<string | undefined> = new Set([
  'LEADER_AWAY',
  'NO_LEADER',
  'TOO_MANY_HELD',
  'NOT_EXECUTED',
])

export class ReplicaSide {
  readonly #parts: ReplicaSideParts

  constructor(parts: ReplicaSideParts) {
    this.#parts = parts
  }

  /**
   * Sends the request to the leader, unless this node itself leads by now (`lead`). Throws what
   * `Forwarder.forward` throws.
   */
  forward(client: Client): Promise<'answered' | 'lead'> {
    return this.#parts.forwarder.forward(
      client,
      this.#parts.bodies.of(client),
      !isRead(client.method),
    )
  }

  /**
   * Sends a request that failed here because it writes to the leader, with the body that was
   * already read.
   */
  replay(client: Client, body: ReplayableBody | undefined): Promise<'answered' | 'lead'> {
    return this.#parts.forwarder.forward(client, body, true)
  }

  /**
   * Answers here, once this node has what the client has seen. Resolves with `lead` when this node
   * leads by now and nothing was answered. Throws STALE_READ, LEADER_AWAY and what
   * `Application.ask` and `Forwarder.forward` throw.
   */
  async serve(client: Client): Promise<'answered' | 'lead'> {
    const { consistency, forwarder } = this.#parts
    const wanted = consistency.lacking(client.request)
    const verdict = wanted && (await this.settle(wanted, client))
    if (verdict === 'forward')
      return forwarder.forward(client, this.#parts.bodies.of(client), false)
    return this.#answerHere(client, verdict?.stale)
  }

  /**
   * Waits for what is wanted: undefined when it came, otherwise what to do without it. Throws
   * STALE_READ or LEADER_AWAY.
   */
  async settle(
    wanted: Wanted,
    client: Held,
  ): Promise<{ readonly stale: string } | 'forward' | undefined> {
    const { consistency, onStale, readWaitMs, onStaleRead } = this.#parts
    let lacking = await consistency.wait(wanted, readWaitMs)
    if (lacking && onStale === 'forward' && !lacking.isNowhere)
      lacking = await this.#waitOn(wanted, client, lacking)
    if (!lacking) return undefined
    const did = this.#endOf(lacking)
    onStaleRead(did)
    if (did === 'forward') return 'forward'
    if (did !== 'refuse') return { stale: lacking.what }
    throw new WalcastError('STALE_READ', { wanted: lacking.what })
  }

  /** Clients' claims must not send more reads to the leader than it can bear. */
  #endOf({ isNowhere }: Lacking): StaleReadEnd {
    const { onStale, view, staleForwards } = this.#parts
    if (!view.canRead()) return onStale === 'forward' ? 'forward' : 'refuse'
    if (onStale !== 'forward') return onStale
    if (isNowhere) return 'serve'
    return staleForwards.take() ? 'forward' : 'bounded'
  }

  /**
   * While the leader is away nothing can be forwarded, and what is wanted may come first. Throws
   * LEADER_AWAY: the read is not held a second time.
   */
  async #waitOn(wanted: Wanted, client: Held, first: Lacking): Promise<Lacking | undefined> {
    const { consistency, forwarder, gate, holdMs } = this.#parts
    const endMs = client.heldUntilMs(holdMs)
    let lacking: Lacking | undefined = first
    while (lacking && !gate.isOpen && !client.isGone && monotonicMs() < endMs) {
      const beganMs = monotonicMs()
      lacking = await consistency.wait(wanted, GATE_LOOK_MS)
      // If too many reads wait, this returns at once: without a pause the loop would keep the event
      // loop busy.
      if (lacking && monotonicMs() - beganMs < GATE_LOOK_MS / 2) await delay(GATE_LOOK_MS)
    }
    if (lacking && !gate.isOpen) throw forwarder.leaderAway()
    return lacking
  }

  async #answerHere(client: Client, stale: string | undefined): Promise<'answered' | 'lead'> {
    const { view, cookie, bodies, forwarder, watch } = this.#parts
    const application = this.#parts.application()
    if (!application) throw new WalcastError('NO_APPLICATION')
    const unable = watch.refuse(false)
    if (unable) throw unable
    const body = bodies.of(client)
    const answer = await application.ask(client, fromClient(client.request, client.origin), body)
    const isAskedFor = answer.header(REPLAY_HEADER)?.trim().toLowerCase() === 'leader'
    if (this.#parts.failedReads.concerns(client, answer)) {
      const outcome = await this.#askLeaderInstead(client, answer, body, isAskedFor)
      if (outcome) return outcome
    } else if (isAskedFor) {
      answer.discard()
      if (body && !body.canReplay)
        throw new WalcastError('NOT_EXECUTED', {
          detail: 'its body is too large to be sent again; see --replay-body',
        })
      return forwarder.forward(client, body, true)
    }
    const { epoch, txid } = await settledBehind(answer, view)
    const position = epoch > 0 ? { epoch, txid } : undefined
    deliver(client, answer, { position, stale, isWrite: false }, cookie)
    return 'answered'
  }

  /**
   * Asks the leader in place of `failed`, of which nothing has gone out. Undefined when `failed`
   * must be given: the leader took nothing, or there are too many such reads. `isAskedFor`: the
   * application says that the leader should answer the request.
   */
  async #askLeaderInstead(
    client: Client,
    failed: Answer,
    body: ReplayableBody | undefined,
    isAskedFor: boolean,
  ): Promise<'answered' | 'lead' | undefined> {
    const { failedReads, forwarder } = this.#parts
    const giveFailed = (why: FailedReadOutcome): undefined => {
      failedReads.onOutcome(why)
    }
    if (body && !body.canReplay) return giveFailed('large')
    if (!isAskedFor && !failedReads.take()) return giveFailed('limited')
    try {
      const maxHoldMs = isAskedFor ? undefined : FAILED_READ_HOLD_MS
      const outcome = await forwarder.forward(client, body, true, maxHoldMs)
      if (outcome === 'answered' && !client.isGone)
        failedReads.onAnswered(client.target, client.response.statusCode)
      failed.discard()
      return outcome
    } catch (error) {
      if (NOT_TAKEN.has(keyOf(error))) return giveFailed('away')
      failed.discard()
      throw error
    }
  }
}
