/**
 * The two gates at which requests wait for this node's application. All wait at one of them; at the
 * other one only writes do, while the process is of an earlier role.
 */
import { monotonicMs } from '../platform/time.ts'
import { Gate, type GateOptions } from './gate.ts'

/** A request or an upgrade that waits. */
export interface Waiting {
  readonly gone: AbortSignal
}

export class ApplicationGates {
  readonly requests: Gate
  readonly writes: Gate
  #heldTotal = 0

  /**
   * `probe`: whether requests would be taken now. The gate of writes has none: the part that closed
   * it opens it.
   */
  constructor(options: GateOptions, probe: () => Promise<boolean>) {
    this.requests = new Gate(options, probe)
    this.writes = new Gate({ maxHeld: options.maxHeld })
  }

  /** Requests that wait now. */
  get held(): number {
    return this.requests.held + this.writes.held
  }

  /** Requests that ever had to wait. */
  get heldTotal(): number {
    return this.#heldTotal
  }

  /** Cheap: asked for each request. */
  isOpen(isWrite: boolean): boolean {
    return this.requests.isOpen && (!isWrite || this.writes.isOpen)
  }

  /** Why a request has to wait; '' when it does not. */
  reason(isWrite: boolean): string {
    if (!this.requests.isOpen) return this.requests.reason
    return isWrite && !this.writes.isOpen ? this.writes.reason : ''
  }

  /**
   * Resolves with whether the gate opened, at the latest at `endMs` or when the client goes. Throws
   * TOO_MANY_HELD.
   */
  async wait(client: Waiting, endMs: number, isWrite: boolean): Promise<boolean> {
    const gate = isWrite && !this.writes.isOpen ? this.writes : this.requests
    if (!gate.isOpen) this.#heldTotal++
    return gate.wait(endMs - monotonicMs(), client.gone)
  }

  /**
   * Wakes all requests that wait, to be decided anew. The gates stay as they are for those that
   * come next.
   */
  release(): void {
    for (const gate of [this.requests, this.writes]) {
      if (gate.isOpen) continue
      const { reason } = gate
      gate.open()
      gate.close(reason)
    }
  }

  /** Wakes all requests that wait, and lets none wait from now on. */
  stop(): void {
    this.requests.stop()
    this.writes.stop()
  }
}
