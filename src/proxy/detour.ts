/**
 * What becomes of a request that this node's application does not take, as long as nothing of it
 * was sent: one that only reads goes to another node's application, everything else waits until
 * this one accepts, `--hold` at most. The role may change meanwhile; whoever asks decides anew
 * where the request goes.
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
  /** Has another node answer a read, if one takes it at once. */
  elsewhere(client: Client): Promise<'answered' | 'notTaken'>
}

/** How long a read waits here before it is tried elsewhere again. */
const READ_WAIT_MS = 100

export class Detour {
  readonly #parts: DetourParts
  #notTakenUntilMs = Number.NEGATIVE_INFINITY

  constructor(parts: DetourParts) {
    this.#parts = parts
  }

  /**
   * After `error`: `again` when the request is to be tried once more. `mayGo`: it only reads, and
   * any node's application may answer it. Throws the error when it is another one or the time is
   * over, and TOO_MANY_HELD.
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
   * The same of another node's request, which waits `holdMs` at most and goes nowhere else: false
   * when that time is over.
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
      // Perhaps it is back, and only nobody has looked.
      this.#parts.watch.lookSoon()
      return false
    }
    return (await this.#parts.watch.wait(client, endMs, isWrite)) && !client.isGone
  }

  /** When nobody took one, the others need not ask at once as well. */
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
