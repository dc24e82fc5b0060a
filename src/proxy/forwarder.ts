/**
 * Sends requests on to the leader, from a replica. Each is executed at most once. Each attempt
 * names the incarnation of the leader for which it is meant, and no other executes it:
 *
 *   hold ──> sent ──> answered ──> applied here (or time-out) ──> given to the client
 *    │ ^       ├── not a byte left, or the leader says "not executed" ──> hold
 *    │ └───────┘
 *    │         └── broken off after sending: 502 OUTCOME_UNKNOWN; with an Idempotency-Key it is sent again
 *    └── past --hold or --max-held: 503 with Retry-After
 */
import { formatPosition, type Position, parsePosition } from '../../proto/position.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import { asWalcastError, keyOf, WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER } from '../security/auth.ts'
import type { AckHeaders } from './ackWaits.ts'
import type { Client } from './client.ts'
import type { Reuse } from './connectionPool.ts'
import { deliver } from './delivery.ts'
import type { Gate } from './gate.ts'
import {
  ACKED_HEADER,
  FIRST_ATTEMPT_HEADER,
  type FirstAttempt,
  formatFirstAttempt,
  fromClient,
  HOLD_HEADER,
  headerOf,
  NOT_EXECUTED_HEADER,
  NOT_REPLICATED_HEADER,
  POSITION_HEADER,
  STALE_HEADER,
  toNode,
  trailersOf,
} from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Answer } from './relayedAnswer.ts'
import type { ReplayableBody } from './replayableBody.ts'
import { isRead } from './routes.ts'
import { SendError } from './sendError.ts'
import { Upstream } from './upstream.ts'

export interface ForwarderOptions {
  /** HOST:PORT of the leader's private side; '' when none is known yet. */
  readonly leader: string
  readonly holdMs: number
  readonly writeWaitMs: number
  readonly maxConnections: number
  readonly answerTimeoutMs: number
}

export interface ForwarderHost {
  /** Whether this node itself leads by now. */
  isLeading(): boolean
  readonly gate: Gate
  readonly waits: PositionWaits
  readonly cookie: PositionCookie
  /** In which the leader leads, as far as this node has heard; '' while that is not known. */
  leaderIncarnation(): string
  /** The token for a request that is sent now. */
  sign(method: string, target: string): string
  onForwarded(): void
  onHeld(): void
  onUnknown(): void
  /**
   * How long an answer waited until its write was applied here, ms; undefined when that took too
   * long.
   */
  onApplied(waitMs: number | undefined): void
}

const CONNECT_TIMEOUT_MS = 2000
/** Until the leader says for how long it keeps an idle connection. */
const IDLE_MS = 30_000
/** An application's answer, and what nodes add. */
const MAX_HEAD_BYTES = 80 * 1024
/**
 * A token that is refused is not accepted by trying for long: a restarted leader or a clock just
 * set are.
 */
const MAX_REFUSALS = 3
const RETRY_MS = 50
/** Of a read that the leader does not keep at all. */
const NOT_KEPT_MS = 0

/** What became of one attempt. */
type Attempt =
  | { readonly answer: Answer }
  | { readonly notExecuted: string; readonly isRefusal: boolean }
  | { readonly unknown: string }

export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #host: ForwarderHost
  #leader: string
  /** Undefined while no leader is known. */
  #upstream: Upstream | undefined

  constructor(options: ForwarderOptions, host: ForwarderHost) {
    this.#options = options
    this.#leader = options.leader
    this.#host = host
    this.#upstream = this.#newUpstream()
  }

  /**
   * Gives `lead` when nothing was executed and this node itself leads by now. Throws LEADER_AWAY,
   * TOO_MANY_HELD, NOT_EXECUTED, OUTCOME_UNKNOWN or BAD_REQUEST. `waitsForApply`: the client may
   * read here what it wrote. `maxHoldMs`: the longest that it waits here for a leader that is away.
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

  /**
   * A read without a body that is answered by the leader if that takes it at once. Throws
   * BAD_REQUEST.
   */
  async offer(client: Client): Promise<'answered' | 'notTaken'> {
    if (!this.#host.gate.isOpen || this.#host.isLeading()) return 'notTaken'
    const attempt = await this.#attempt(
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
    const position = parsePosition(answer.header(POSITION_HEADER) ?? '')
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

  /** Requests go to this leader (HOST:PORT) from now on; those under way end where they are. */
  pointTo(leader: string): void {
    if (leader === this.#leader) return
    this.#leader = leader
    this.retire()
  }

  /**
   * The leader is about to stop: no more requests on these connections, so that it can close them
   * without cutting one off.
   */
  retire(): void {
    const old = this.#upstream
    this.#upstream = this.#newUpstream()
    void old?.drain()
  }

  async close(): Promise<void> {
    this.#host.gate.stop()
    await this.#upstream?.close()
  }

  /** What a request gets that waited as long as `--hold` allows. */
  leaderAway(): WalcastError {
    if (this.#leader === '') return new WalcastError('NO_LEADER')
    const detail = this.#host.gate.reason
    const seconds = this.#options.holdMs / 1000
    return new WalcastError('LEADER_AWAY', { address: this.#leader, seconds, detail })
  }

  /** Undefined when the client went away. */
  async #answerOf(
    client: Client,
    body: ReplayableBody | undefined,
    endMs: number,
  ): Promise<Answer | 'lead' | undefined> {
    // As the leader sees it: what it does not remember would be executed twice.
    const hasKey = !isRead(client.method) && !!headerOf(client.request, 'idempotency-key')
    /** The first attempt that may have been executed. */
    let first: { readonly incarnation: string; readonly sentMs: number } | undefined
    /**
     * What became of an attempt that may have been executed: from then on nothing can say that none
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
        // What another leader may have executed is not known here.
        if (lost !== undefined) throw this.#unknown(lost)
        return 'lead'
      }
      const leader = this.#leader
      const incarnation = this.#host.leaderIncarnation()
      const sentMs = monotonicMs()
      const before = first && { incarnation: first.incarnation, agoMs: sentMs - first.sentMs }
      const leftMs = Math.max(1, endMs - sentMs)
      const attempt = await this.#attempt(client, body, incarnation, before, leftMs)
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
      } else if (leader === this.#leader && !this.#host.isLeading()) {
        // A refusal that was overtaken by news of the leader says nothing of what it takes now.
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

  async #attempt(
    client: Client,
    body: ReplayableBody | undefined,
    incarnation: string,
    before: FirstAttempt | undefined,
    leftMs: number,
    reuse: Reuse = 'sure',
  ): Promise<Attempt> {
    if (!this.#upstream) return { notExecuted: 'no leader is known', isRefusal: false }
    // Not sent: whichever leader executed it, a second attempt could not say so.
    if (incarnation === '')
      return { notExecuted: 'its incarnation is not known yet', isRefusal: false }
    const { method, target } = client
    const { request, origin } = client
    const headers = toNode(fromClient(request, origin), this.#leader, incarnation, origin.address)
    headers.push(REPLICA_AUTH_HEADER, this.#host.sign(method, target))
    headers.push(HOLD_HEADER, String(leftMs === NOT_KEPT_MS ? NOT_KEPT_MS : this.#keepMs(leftMs)))
    if (before) headers.push(FIRST_ATTEMPT_HEADER, formatFirstAttempt(before))
    const sentMs = monotonicMs()
    const exchange = this.#upstream.send({
      method,
      path: target,
      headers,
      body: body?.stream() ?? null,
      trailers: () => trailersOf(client.request),
      onInterim: (interim) => client.inform(interim),
      reuse,
    })
    client.follow(exchange)
    try {
      const answer = await exchange.answer
      const notExecuted = answer.header(NOT_EXECUTED_HEADER)
      // The leader kept it as long as it was to be kept: there is nothing better to say, unless an
      // earlier attempt may have been executed.
      const isOver = !before && leftMs > 0 && monotonicMs() - sentMs >= leftMs
      if (notExecuted === undefined || (notExecuted === 'APP_UNREACHABLE' && isOver))
        return { answer }
      answer.discard()
      client.follow(undefined)
      return {
        notExecuted: `it answered ${notExecuted}`,
        isRefusal: notExecuted === 'FORWARD_REFUSED',
      }
    } catch (error) {
      if (!(error instanceof SendError)) throw error
      if (error.isBadRequest)
        throw new WalcastError('BAD_REQUEST', { detail: error.message }, error)
      if (error.isStale && reuse !== 'none' && !client.isGone && (body?.canReplay ?? true))
        return this.#attempt(client, body, incarnation, before, leftMs, 'none')
      if (!error.wasSent) return { notExecuted: error.detail, isRefusal: false }
      return {
        unknown: error.isTimeout
          ? 'the leader gave no answer in time'
          : `the leader broke off: ${error.detail}`,
      }
    }
  }

  /**
   * How long the leader may keep a request, ms: its answer has to begin before this node gives it
   * up.
   */
  #keepMs(leftMs: number): number {
    return Math.max(1, Math.ceil(Math.min(leftMs, this.#options.answerTimeoutMs / 2)))
  }

  #unknown(detail: string): WalcastError {
    this.#host.onUnknown()
    return new WalcastError('OUTCOME_UNKNOWN', { detail })
  }

  /** Gives what is not applied when the wait ran out. */
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

  #newUpstream(): Upstream | undefined {
    if (this.#leader === '') return undefined
    const { maxConnections, answerTimeoutMs } = this.#options
    return new Upstream({
      origin: `http://${this.#leader}`,
      maxConnections,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs,
      idleMs: IDLE_MS,
      maxHeadBytes: MAX_HEAD_BYTES,
    })
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
