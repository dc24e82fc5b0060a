/**
 * The connections to the leader's private side, and one attempt at a request over them. An attempt
 * names the incarnation of the leader for which it is meant; a leader in another one executes
 * nothing. How the attempt ends decides whether the request may be sent again.
 */
import { WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import type { Client } from './client.ts'
import type { Reuse } from './connectionPool.ts'
import { FIRST_ATTEMPT_HEADER, type FirstAttempt, formatFirstAttempt } from './firstAttempt.ts'
import { fromClient, HOLD_HEADER, NOT_EXECUTED_HEADER, toNode, trailersOf } from './headers.ts'
import type { KnownLeaderHost, SignForward } from './knownLeader.ts'
import type { Answer } from './relayedAnswer.ts'
import type { ReplayableBody } from './replayableBody.ts'
import { SendError } from './sendError.ts'
import { Upstream } from './upstream.ts'
import type { WireDial } from './wire.ts'

export interface LeaderUpstreamOptions {
  /** HOST:PORT of the leader's private side; '' while none is known. */
  readonly leader: string
  readonly maxConnections: number
  readonly answerTimeoutMs: number
}

/** What became of one attempt. */
export type Attempt =
  | { readonly answer: Answer }
  | { readonly notExecuted: string; readonly isRefusal: boolean }
  | { readonly unknown: string }

const CONNECT_TIMEOUT_MS = 2000
/** Until the leader says for how long it keeps an idle connection. */
const IDLE_MS = 30_000
/** An application's answer, and what nodes add. */
const MAX_HEAD_BYTES = 80 * 1024
/** `leftMs` of a read that the leader does not keep at all. */
export const NOT_KEPT_MS = 0

export class LeaderUpstream {
  readonly #options: LeaderUpstreamOptions
  readonly #sign: SignForward
  readonly #dial: ((address: string) => WireDial) | undefined
  #address: string
  /** Undefined while no leader is known. */
  #upstream: Upstream | undefined

  /** See KnownLeaderHost for `sign` and `dial`. */
  constructor(
    options: LeaderUpstreamOptions,
    { sign, dial }: Pick<KnownLeaderHost, 'sign' | 'dial'>,
  ) {
    this.#options = options
    this.#sign = sign
    this.#dial = dial
    this.#address = options.leader
    this.#upstream = this.#connect()
  }

  /** HOST:PORT of the leader; '' while none is known. */
  get address(): string {
    return this.#address
  }

  /** Requests go to this leader from now on; those under way end where they are. */
  pointTo(address: string): void {
    if (address === this.#address) return
    this.#address = address
    this.retire()
  }

  /**
   * New connections from now on: the leader can close the old ones without cutting off a request.
   */
  retire(): void {
    const old = this.#upstream
    this.#upstream = this.#connect()
    void old?.drain()
  }

  async close(): Promise<void> {
    await this.#upstream?.close()
  }

  /**
   * Sends the request once. `before`: the first attempt, if that may have been executed. `leftMs`:
   * how long the leader may keep the request. Throws BAD_REQUEST.
   */
  async attempt(
    client: Client,
    body: ReplayableBody | undefined,
    incarnation: string,
    before: FirstAttempt | undefined,
    leftMs: number,
    reuse: Reuse = 'sure',
  ): Promise<Attempt> {
    if (!this.#upstream) return { notExecuted: 'no leader is known', isRefusal: false }
    // Not sent without one: any leader might execute it, and a second attempt could not say which.
    if (incarnation === '')
      return { notExecuted: 'its incarnation is not known yet', isRefusal: false }
    const { method, target } = client
    const { request, origin } = client
    const headers = toNode(fromClient(request, origin), this.#address, incarnation, origin.address)
    headers.push(HOLD_HEADER, String(leftMs === NOT_KEPT_MS ? NOT_KEPT_MS : this.#keepMs(leftMs)))
    if (before) headers.push(FIRST_ATTEMPT_HEADER, formatFirstAttempt(before))
    headers.push(REPLICA_AUTH_HEADER, this.#sign(method, target, headers))
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
      // The leader kept the request as long as it may: it has the best answer, unless an earlier
      // attempt may have been executed.
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
        return this.attempt(client, body, incarnation, before, leftMs, 'none')
      if (!error.wasSent) return { notExecuted: error.detail, isRefusal: false }
      return {
        unknown: error.isTimeout
          ? 'the leader gave no answer in time'
          : `the leader broke off: ${error.detail}`,
      }
    }
  }

  /**
   * How long the leader may keep a request: its answer has to begin before this node gives it up.
   */
  #keepMs(leftMs: number): number {
    return Math.max(1, Math.ceil(Math.min(leftMs, this.#options.answerTimeoutMs / 2)))
  }

  #connect(): Upstream | undefined {
    if (this.#address === '') return undefined
    const { maxConnections, answerTimeoutMs } = this.#options
    const [address, dial] = [this.#address, this.#dial]
    return new Upstream({
      origin: `http://${address}`,
      ...(dial ? { dial: () => dial(address) } : {}),
      maxConnections,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs,
      idleMs: IDLE_MS,
      maxHeadBytes: MAX_HEAD_BYTES,
    })
  }
}
