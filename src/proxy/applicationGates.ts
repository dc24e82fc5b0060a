/**
 * Where requests wait that this node's application does not take: at one gate all of them, at
 * another one writes only, while its process is of an earlier role.
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

  /** `probe`: whether requests would be taken now. Nothing is asked about writes. */
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

  /** Why a request waits; '' when it does not. */
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

  /** All who wait decide anew where to go. Whoever comes next waits as before. */
  release(): void {
    for (const gate of [this.requests, this.writes]) {
      if (gate.isOpen) continue
      const { reason } = gate
      gate.open()
      gate.close(reason)
    }
  }

  /** Lets everybody go. */
  stop(): void {
    this.requests.stop()
    this.writes.stop()
  }
}
