/**
 * What becomes of a request that this node's application does not take. Nothing of it was sent yet.
 * A read goes to another node's application; everything else waits until this one accepts, for
 * `--hold` at most. The role may change meanwhile, so the caller decides anew where the request
 * goes.
 */
import { keyOf } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import type { Client } from './client.ts'
import type { Bodies } from './replayableBody.ts'

export interface DetourParts {
  readonly watch: ApplicationWatch
  readonly bodies: Bodies
  readonly holdMs: number
  /** Asks another node to answer a read, if one takes it at once. */
  elsewhere(client: Client): Promise<'answered' | 'notTaken'>
}

/** How long a read waits here before it is offered to others again. */
const READ_WAIT_MS = 100

export class Detour {
  readonly #parts: DetourParts
  #notTakenUntilMs = Number.NEGATIVE_INFINITY

  constructor(parts: DetourParts) {
    this.#parts = parts
  }

  /**
   * Called after `error`. Resolves with `again` when the request has to be tried once more.
   * `mayGo`: it only reads, and any node's application may answer it. Throws `error` when that is
   * another one or the time is over, and TOO_MANY_HELD.
   */
  async take(client: Client, error: unknown, mayGo: boolean): Promise<'answered' | 'again'> {
    this.#requireUnsent(client, error)
    const endMs = client.heldUntilMs(this.#parts.holdMs)
    const isMobile = mayGo && !client.hasBody
    if (isMobile && (await this.#parts.watch.isBack())) return 'again'
    if (isMobile && (await this.#goElsewhere(client)) === 'answered') return 'answered'
    const untilMs = isMobile ? Math.min(endMs, monotonicMs() + READ_WAIT_MS) : endMs
    const isOpen = await this.#parts.watch.wait(client, untilMs, !mayGo)
    const isOver = this.#parts.watch.isStopped || monotonicMs() >= endMs
    if (client.isGone || (!isOpen && isOver)) throw error
    return 'again'
  }

  /**
   * The same for a request that another node forwarded. It waits `holdMs` at most and goes nowhere
   * else. False when that time is over.
   */
  async untilTaken(
    client: Client,
    error: unknown,
    holdMs: number,
    isWrite: boolean,
  ): Promise<boolean> {
    this.#requireUnsent(client, error)
    const endMs = client.heldUntilMs(Math.min(holdMs, this.#parts.holdMs))
    if (endMs <= monotonicMs()) {
      // The application may be back without having been looked at.
      this.#parts.watch.lookSoon()
      return false
    }
    return (await this.#parts.watch.wait(client, endMs, isWrite)) && !client.isGone
  }

  /** When no node took one read, the next ones wait a moment before they are offered. */
  async #goElsewhere(client: Client): Promise<'answered' | 'notTaken'> {
    if (monotonicMs() < this.#notTakenUntilMs) return 'notTaken'
    const outcome = await this.#parts.elsewhere(client)
    if (outcome === 'notTaken') this.#notTakenUntilMs = monotonicMs() + READ_WAIT_MS / 2
    return outcome
  }

  #requireUnsent(client: Client, error: unknown): void {
    const isUnsent = keyOf(error) === 'APP_UNREACHABLE' && !client.response.headersSent
    if (!isUnsent || client.isGone) throw error
    const body = this.#parts.bodies.of(client)
    if (body && !body.canReplay) throw error
  }
}
