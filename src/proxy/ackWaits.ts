/**
 * Answers at the leader that wait until replicas hold what was written, and what they say of it.
 */
import type { IncomingMessage } from 'node:http'
import type { Position } from '../../proto/position.ts'
import type { NodeView } from '../api/nodeView.ts'
import { type AckLevel, isLocal, requireAckLevel } from '../feed/ackLevel.ts'
import type { AckEnd, AckOutcome } from '../feed/acknowledgements.ts'
import { monotonicMs } from '../platform/time.ts'
import { ACK_HEADER, ACKED_HEADER, headerOf, NOT_REPLICATED_HEADER } from './headers.ts'

export interface AckWaitsOptions {
  /** Of writes whose request names none. */
  readonly level: AckLevel
  readonly timeoutMs: number
}

/** Header that tells what became of the wait. */
export type AckHeaders = Readonly<Record<string, string>>

/** `unknown`: no position could be told, or the node does not lead. */
export type AckResult = AckEnd | 'unknown'

const UNKNOWN = { reached: false, replicas: 0, end: 'unknown' } as const

export class AckWaits {
  readonly #options: AckWaitsOptions
  readonly #view: Pick<NodeView, 'acknowledge'>
  readonly #isSure: () => boolean
  readonly #onEnd: (level: string, result: AckResult, waitMs: number) => void
  #waiting = 0

  /** `isSure`: whether this node is sure that it leads. */
  constructor(
    options: AckWaitsOptions,
    view: Pick<NodeView, 'acknowledge'>,
    isSure: () => boolean,
    onEnd: (level: string, result: AckResult, waitMs: number) => void,
  ) {
    this.#options = options
    this.#view = view
    this.#isSure = isSure
    this.#onEnd = onEnd
  }

  /** Waits under way. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * What the answer to a request has to wait for; undefined for nothing. Throws BAD_REQUEST: to be
   * asked before it is executed.
   */
  levelFor(request: IncomingMessage, isWrite: boolean): AckLevel | undefined {
    const given = headerOf(request, ACK_HEADER)
    if (given === undefined && !isWrite) return undefined
    const level = given === undefined ? this.#options.level : requireAckLevel(given)
    return isLocal(level) ? undefined : level
  }

  /** Never throws: what was written stands, whatever comes of this. */
  async headersFor(position: Position | undefined, level: AckLevel): Promise<AckHeaders> {
    const outcome = await this.wait(position, level, this.#options.timeoutMs).catch(() => UNKNOWN)
    const name = outcome.reached ? ACKED_HEADER : NOT_REPLICATED_HEADER
    return { [name]: `${level.name}; replicas=${outcome.replicas}` }
  }

  /** Throws NOT_LEADER or STARTING. */
  async wait(
    position: Position | undefined,
    level: AckLevel,
    timeoutMs: number,
  ): Promise<Pick<AckOutcome, 'reached' | 'replicas'> & { readonly end: AckResult }> {
    const beganMs = monotonicMs()
    this.#waiting++
    let result: AckResult = 'unknown'
    try {
      const told = position ? await this.#view.acknowledge(position, level, timeoutMs) : UNKNOWN
      // A node that stood still may hear what replicas said before another one was promoted without
      // them.
      const outcome =
        told.reached && !this.#isSure() ? { ...UNKNOWN, replicas: told.replicas } : told
      result = outcome.end
      return outcome
    } finally {
      this.#waiting--
      this.#onEnd(level.label, result, monotonicMs() - beganMs)
    }
  }
}
