/**
 * Where requests wait until this node can serve them: a balancer without health checks sends them
 * as soon as the public side listens. Bounded in number and time.
 */
import { WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Held } from './client.ts'
import { Gate } from './gate.ts'

export interface StartGateOptions {
  readonly maxHeld: number
  readonly holdMs: number
}

export class StartGate {
  readonly #holdMs: number
  readonly #gate: Gate
  #isStopping = false

  constructor({ maxHeld, holdMs }: StartGateOptions) {
    this.#holdMs = holdMs
    this.#gate = new Gate({ maxHeld })
    this.#gate.close('this node is starting')
  }

  get isOpen(): boolean {
    return this.#gate.isOpen
  }

  /** Whether the node stops. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Requests that wait now. */
  get held(): number {
    return this.#gate.held
  }

  /** The node has started. */
  open(): void {
    this.#gate.open()
  }

  /** The node stops: requests that wait are refused. */
  stop(): void {
    this.#isStopping = true
    this.#gate.stop()
  }

  /**
   * Resolves with whether the node has started; false when the client went away first. Throws
   * STARTING, STOPPING or TOO_MANY_HELD.
   */
  async wait(client: Held): Promise<boolean> {
    const waitMs = client.heldUntilMs(this.#holdMs) - monotonicMs()
    const hasStarted = await this.#gate.wait(waitMs, client.gone)
    if (!hasStarted && !client.isGone)
      throw new WalcastError(this.#isStopping ? 'STOPPING' : 'STARTING')
    return hasStarted
  }
}
