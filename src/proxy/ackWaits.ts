/**
 * Answers at the leader that wait until replicas hold what was written, and the header that tells
 * how many do.
 */
import type { IncomingMessage } from 'node:http'
import type { Position } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import { type AckLevel, isLocal, requireAckLevel } from '../feed/ackLevel.ts'
import type { AckEnd, AckOutcome } from '../feed/acknowledgements.ts'
import { monotonicMs } from '../platform/time.ts'
import { ACK_HEADER, ACKED_HEADER, headerOf, NOT_REPLICATED_HEADER } from './headers.ts'

export interface AckWaitsOptions {
  /** For writes whose request names no level. */
  readonly level: AckLevel
  readonly timeoutMs: number
}

/** The header that tells how the wait ended. */
export type AckHeaders = Readonly<Record<string, string>>

/** `unknown`: the leader could not tell a position, or this node is not the leader. */
export type AckResult = AckEnd | 'unknown'

const UNKNOWN = { reached: false, replicas: 0, end: 'unknown' } as const

export class AckWaits {
  readonly #options: AckWaitsOptions
  readonly #view: Pick<DatabaseView, 'acknowledge'>
  readonly #isSure: () => boolean
  readonly #onEnd: (level: string, result: AckResult, waitMs: number) => void
  #waiting = 0

  /** `isSure`: whether this node is sure that it leads. */
  constructor(
    options: AckWaitsOptions,
    view: Pick<DatabaseView, 'acknowledge'>,
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
   * What the answer to a request has to wait for; undefined when for nothing. Throws BAD_REQUEST:
   * ask before the request is executed.
   */
  levelFor(request: IncomingMessage, isWrite: boolean): AckLevel | undefined {
    const given = headerOf(request, ACK_HEADER)
    if (given === undefined && !isWrite) return undefined
    const level = given === undefined ? this.#options.level : requireAckLevel(given)
    return isLocal(level) ? undefined : level
  }

  /** Never throws: the write stands, however the wait ends. */
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
      // A node that stood still may hear of replicas that held the write before another node was
      // promoted without them.
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
