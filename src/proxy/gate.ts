/**
 * Where requests wait while the leader does not take them. The gate closes when the leader says so
 * or cannot be reached. It opens when the leader is heard of, or a probe reaches it. Bounded in
 * number; each wait is bounded in time.
 */
import { WalcastError } from '../errors.ts'
import { cancelTimer, delay, monotonicMs, setTimer } from '../platform/time.ts'

export interface GateOptions {
  readonly maxHeld: number
  /** Pause between two probes while the gate is closed and requests wait. */
  readonly probeMs?: number
}

const PROBE_MS = 100

/** The pause between two probes keeps no process from ending. */
const UNHELD = { ref: false } as const

export class Gate {
  readonly #maxHeld: number
  readonly #probeMs: number
  readonly #probe: (() => Promise<boolean>) | undefined
  readonly #waiters = new Set<(isOpen: boolean) => void>()
  #isOpen = true
  #reason = ''
  #probing = false
  #probedOpenMs = Number.NEGATIVE_INFINITY
  #stopped = false

  /**
   * `probe` says whether requests would be taken now; it never throws. Without a probe, the part
   * that closed the gate opens it.
   */
  constructor({ maxHeld, probeMs = PROBE_MS }: GateOptions, probe?: () => Promise<boolean>) {
    this.#maxHeld = maxHeld
    this.#probeMs = probeMs
    this.#probe = probe
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Why it is closed, for people. */
  get reason(): string {
    return this.#reason
  }

  /** Requests that wait now. */
  get held(): number {
    return this.#waiters.size
  }

  open(): void {
    this.#isOpen = true
    for (const wake of this.#waiters) wake(true)
  }

  close(reason: string): void {
    this.#isOpen = false
    this.#reason = reason
    if (this.#waiters.size > 0) void this.#probeUntilOpen()
  }

  /** The node stops: releases all requests that wait, and lets none wait from now on. */
  stop(): void {
    this.#stopped = true
    for (const wake of this.#waiters) wake(false)
  }

  /**
   * Resolves with whether the gate opened, at the latest after `timeoutMs` or when `signal` is
   * aborted. Throws TOO_MANY_HELD.
   */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#isOpen) return true
    if (this.#waiters.size >= this.#maxHeld)
      throw new WalcastError('TOO_MANY_HELD', { limit: this.#maxHeld })
    if (timeoutMs <= 0 || signal.aborted || this.#stopped) return false
    return new Promise<boolean>((resolve) => {
      const giveUp = () => wake(false)
      const timer = setTimer(giveUp, timeoutMs)
      const wake = (isOpen: boolean) => {
        cancelTimer(timer)
        signal.removeEventListener('abort', giveUp)
        this.#waiters.delete(wake)
        resolve(isOpen)
      }
      this.#waiters.add(wake)
      signal.addEventListener('abort', giveUp, { once: true })
      void this.#probeUntilOpen()
    })
  }

  async #probeUntilOpen(): Promise<void> {
    const probe = this.#probe
    if (this.#probing || !probe) return
    this.#probing = true
    const probeMs = this.#probeMs
    while (!this.#isOpen && this.#waiters.size > 0 && !this.#stopped) {
      // The last probe opened the gate and a request closed it again: the leader is there and
      // refuses. Probing as fast as it answers would only load it.
      const restMs = this.#probedOpenMs + probeMs - monotonicMs()
      if (restMs > 0) await delay(restMs, UNHELD)
      else if (!(await probe())) await delay(probeMs, UNHELD)
      else {
        this.#probedOpenMs = monotonicMs()
        this.open()
      }
    }
    this.#probing = false
  }
}
