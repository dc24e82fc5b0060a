/**
 * Sends requests from a replica on to the leader. The leader executes each at most once. Each
 * attempt names the incarnation of the leader for which it is meant:
 *
 *   hold ──> sent ──> answered ──> applied here (or time-out) ──> given to the client
 *    │ ^       ├── not a byte left, or the leader says "not executed" ──> hold
 *    │ └───────┘
 *    │         └── broken off after sending ──> 502 OUTCOME_UNKNOWN
 *    │                                          with an Idempotency-Key ──> hold
 *    └── past --hold or --max-held: 503 with Retry-After
 */
import { formatPosition, type Position } from '../../proto/position.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import { asWalcastError, keyOf, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { Claims } from '../security/claims.ts'
import type { AckHeaders } from './ackWaits.ts'
import type { Client } from './client.ts'
import { deliver } from './delivery.ts'
import type { Gate } from './gate.ts'
import {
  ACKED_HEADER,
  headerOf,
  NOT_REPLICATED_HEADER,
  POSITION_HEADER,
  STALE_HEADER,
} from './headers.ts'
import type { SignForward } from './knownLeader.ts'
import { LeaderUpstream, type LeaderUpstreamOptions, NOT_KEPT_MS } from './leaderUpstream.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Answer } from './relayedAnswer.ts'
import type { ReplayableBody } from './replayableBody.ts'
import { isRead } from './routes.ts'
import type { WireDial } from './wire.ts'

export interface ForwarderOptions extends LeaderUpstreamOptions {
  readonly holdMs: number
  readonly writeWaitMs: number
}

export interface ForwarderHost {
  /** Whether this node itself is the leader by now. */
  isLeading(): boolean
  readonly gate: Gate
  readonly waits: PositionWaits
  readonly cookie: PositionCookie
  /** Judges the positions in answers. */
  readonly claims: Claims
  /** The leader's incarnation, as far as this node has heard; '' while it is not known. */
  leaderIncarnation(): string
  /** The token for a request that is sent now. */
  readonly sign: SignForward
  readonly dial: ((address: string) => WireDial) | undefined
  onForwarded(): void
  onHeld(): void
  onUnknown(): void
  /**
   * How long an answer waited until this node had applied its write, ms; undefined when that took
   * too long.
   */
  onApplied(waitMs: number | undefined): void
}

/**
 * Refused tokens before the request is given up. A leader that has just restarted, or whose clock
 * was just set, takes a second one.
 */
const MAX_REFUSALS = 3
const RETRY_MS = 50
export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #host: ForwarderHost
  readonly #leader: LeaderUpstream

  constructor(options: ForwarderOptions, host: ForwarderHost) {
    this.#options = options
    this.#host = host
    this.#leader = new LeaderUpstream(options, host)
  }

  /**
   * Resolves with `lead` when nothing was executed and this node itself is the leader by now.
   * Throws LEADER_AWAY, TOO_MANY_HELD, NOT_EXECUTED, OUTCOME_UNKNOWN or BAD_REQUEST.
   * `waitsForApply`: the client may read here what it wrote. `maxHoldMs`: the longest wait for a
   * leader that is away.
   */
  async forward(
    client: Client,
    body: ReplayableBody | undefined,
    waitsForApply: boolean,
    maxHoldMs = Number.POSITIVE_INFINITY,
  ): Promise<'answered' | 'lead'> {
    this.#host.onForwarded()
    const endMs = Math.min(client.heldUntilMs(this.#options.holdMs), monotonicMs() + maxHoldMs)
    const answer = await this.#answerOf(client, body, endMs)
    if (answer === 'lead') return 'lead'
    if (!answer) return 'answered'
    return this.#deliver(client, answer, waitsForApply)
  }

  /** A read without a body, which the leader answers if it takes it at once. Throws BAD_REQUEST. */
  async offer(client: Client): Promise<'answered' | 'notTaken'> {
    if (!this.#host.gate.isOpen || this.#host.isLeading()) return 'notTaken'
    const attempt = await this.#leader.attempt(
      client,
      undefined,
      this.#host.leaderIncarnation(),
      undefined,
      NOT_KEPT_MS,
    )
    if (client.isGone) return 'answered'
    if (!('answer' in attempt)) return 'notTaken'
    this.#host.onForwarded()
    return this.#deliver(client, attempt.answer, false)
  }

  async #deliver(client: Client, answer: Answer, waitsForApply: boolean): Promise<'answered'> {
    const position = this.#host.claims.positionIn(answer.header(POSITION_HEADER))
    const theirs = answer.header(STALE_HEADER)
    const stale = waitsForApply && position ? await this.#untilApplied(position) : theirs
    deliver(
      client,
      answer,
      { position, stale, isWrite: !isRead(client.method) || waitsForApply, acks: acksOf(answer) },
      this.#host.cookie,
    )
    return 'answered'
  }

  /** Requests go to this leader (HOST:PORT; '' while none is known) from now on. */
  pointTo(leader: string): void {
    this.#leader.pointTo(leader)
  }

  /** The leader is about to stop. */
  retire(): void {
    this.#leader.retire()
  }

  async close(): Promise<void> {
    this.#host.gate.stop()
    await this.#leader.close()
  }

  /** The error for a request that waited as long as `--hold` allows. */
  leaderAway(): WalcastError {
    if (this.#leader.address === '') return new WalcastError('NO_LEADER')
    const detail = this.#host.gate.reason
    const seconds = this.#options.holdMs / 1000
    return new WalcastError('LEADER_AWAY', { address: this.#leader.address, seconds, detail })
  }

  /** Undefined when the client went away. */
  async #answerOf(
    client: Client,
    body: ReplayableBody | undefined,
    endMs: number,
  ): Promise<Answer | 'lead' | undefined> {
    // As the leader sees it: a request whose key it does not remember would be executed twice.
    const hasKey = !isRead(client.method) && !!headerOf(client.request, 'idempotency-key')
    /** The first attempt that may have been executed. */
    let first: { readonly incarnation: string; readonly sentMs: number } | undefined
    /**
     * How an attempt that may have been executed ended. From then on this node cannot say that none
     * was.
     */
    let lost: string | undefined
    const nothingDone = (error: WalcastError) =>
      lost === undefined ? error : this.#unknown(`${lost}; then: ${error.message}`)
    for (let refusals = 0; ; ) {
      await this.#hold(client, endMs).catch((error) => {
        throw nothingDone(asWalcastError(error))
      })
      if (client.isGone) return undefined
      if (this.#host.isLeading()) {
        // This node does not know what another leader may have executed.
        if (lost !== undefined) throw this.#unknown(lost)
        return 'lead'
      }
      const leader = this.#leader.address
      const incarnation = this.#host.leaderIncarnation()
      const sentMs = monotonicMs()
      const before = first && { incarnation: first.incarnation, agoMs: sentMs - first.sentMs }
      const leftMs = Math.max(1, endMs - sentMs)
      const attempt = await this.#leader.attempt(client, body, incarnation, before, leftMs)
      if (client.isGone) return undefined
      if ('answer' in attempt) return attempt.answer
      const canRepeat = body?.canReplay ?? true
      if ('unknown' in attempt) {
        if (!hasKey || !canRepeat || monotonicMs() >= endMs) throw this.#unknown(attempt.unknown)
        first ??= { incarnation, sentMs }
        lost ??= attempt.unknown
        await delay(RETRY_MS)
      } else if (!canRepeat || (attempt.isRefusal && ++refusals >= MAX_REFUSALS)) {
        throw nothingDone(new WalcastError('NOT_EXECUTED', { detail: attempt.notExecuted }))
      } else if (leader === this.#leader.address && !this.#host.isLeading()) {
        // The refusal says nothing of the leader if news of the leader has come since.
        if (incarnation === this.#host.leaderIncarnation())
          this.#host.gate.close(attempt.notExecuted)
      }
    }
  }

  async #hold(client: Client, endMs: number): Promise<void> {
    const { gate, onHeld } = this.#host
    if (gate.isOpen) return
    onHeld()
    if (await gate.wait(endMs - monotonicMs(), client.gone)) return
    if (client.isGone) return
    throw this.leaderAway()
  }

  #unknown(detail: string): WalcastError {
    this.#host.onUnknown()
    return new WalcastError('OUTCOME_UNKNOWN', { detail })
  }

  /** Resolves with the position if it was not applied in time. */
  async #untilApplied(position: Position): Promise<string | undefined> {
    const beganMs = monotonicMs()
    try {
      await this.#host.waits.until(position, this.#options.writeWaitMs)
      this.#host.onApplied(monotonicMs() - beganMs)
      return undefined
    } catch (error) {
      if (keyOf(error) === undefined) throw error
      this.#host.onApplied(undefined)
      return formatPosition(position)
    }
  }
}

/** What the leader says of the replicas that hold the write. */
function acksOf(answer: Answer): AckHeaders | undefined {
  for (const name of [ACKED_HEADER, NOT_REPLICATED_HEADER]) {
    const value = answer.header(name)
    if (value !== undefined) return { [name]: value }
  }
  return undefined
}
