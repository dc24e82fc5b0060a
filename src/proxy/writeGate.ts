/**
 * Whether the leader takes writes now. While it hands over they wait here, and then go where the
 * leader is; those that are inside the application are counted, so that a handover can let them
 * end. Bounded in number and time.
 */
import { WalcastError } from '../errors.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../platform/time.ts'
import type { Held } from './client.ts'
import { Gate } from './gate.ts'
import { UnderWay } from './underWay.ts'

export interface WriteGateOptions {
  readonly maxHeld: number
  readonly holdMs: number
  /** HOST:PORT of this node, for errors. */
  readonly address: string
}

export interface WriteGateHost {
  isLeading(): boolean
  /**
   * Looks whether this node can still be sure that it leads, and holds writes when not. Cheap:
   * asked for each write.
   */
  check(): void
}

/** Why writes wait: each reason ends by itself, whatever becomes of the others. */
export type HoldFor =
  /** A change of role is under way. */
  | 'change'
  /** Another node may lead, which is being looked into. */
  | 'rival'
  /** This node stood still, and asks the others whether it still leads. */
  | 'frozen'

/** For so long a change of role waits for writes that wait for their own clients. */
const CLIENT_GRACE_MS = 1000

export class WriteGate {
  readonly #options: WriteGateOptions
  readonly #host: WriteGateHost
  readonly #gate: Gate
  #refusal: WalcastError | undefined
  /** For people. */
  readonly #holds = new Map<HoldFor, string>()
  /** Of each write inside the application, whether it waits for its client. */
  readonly #inside = new UnderWay<() => boolean>()
  #heldTotal = 0
  readonly #quiet = new Set<() => void>()

  constructor(options: WriteGateOptions, host: WriteGateHost) {
    this.#options = options
    this.#host = host
    this.#gate = new Gate({ maxHeld: options.maxHeld })
  }

  /** Writes that wait now. */
  get held(): number {
    return this.#gate.held
  }

  /** Writes that ever had to wait. */
  get heldTotal(): number {
    return this.#heldTotal
  }

  /** Writes inside the application. */
  get underWay(): number {
    return this.#inside.size
  }

  /** Why nothing is taken at this moment; undefined when writes are. */
  refuse(): WalcastError | undefined {
    this.#host.check()
    if (this.#refusal) return this.#refusal
    return this.#holds.size === 0 ? undefined : new WalcastError('SWITCHING')
  }

  /**
   * Whether this node is sure that it leads: it has not stood still, and no other node may lead.
   */
  get isSure(): boolean {
    this.#host.check()
    return this.#host.isLeading() && !this.#holds.has('frozen') && !this.#holds.has('rival')
  }

  /** Writes that come from now on wait until this is released. `reason` is for people. */
  hold(what: HoldFor, reason: string): void {
    this.#holds.set(what, reason)
    this.#settle()
  }

  /** Writes are taken unless something else keeps them. */
  release(what: HoldFor): void {
    this.#holds.delete(what)
    this.#settle()
  }

  /**
   * Writes that come from now on, and those that wait, are refused with this error; undefined: no
   * more.
   */
  refuseWith(error: WalcastError | undefined): void {
    this.#refusal = error
    this.#settle()
  }

  /**
   * This node leads no more: whoever waits goes elsewhere, and nothing of what kept writes is so
   * any more.
   */
  clear(): void {
    this.#holds.clear()
    this.refuseWith(undefined)
  }

  stop(): void {
    this.#gate.stop()
  }

  /**
   * Waits until writes are taken. False when this node leads no more, or the client has gone.
   * Throws LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD.
   */
  async admit(client: Held): Promise<boolean> {
    for (let isFirst = true; this.refuse() !== undefined; isFirst = false) {
      if (this.#refusal) throw this.#refusal
      if (isFirst) this.#heldTotal++
      const leftMs = client.heldUntilMs(this.#options.holdMs) - monotonicMs()
      const isOpen = await this.#gate.wait(leftMs, client.gone)
      if (client.isGone || !this.#host.isLeading()) return false
      if (!isOpen) throw this.#away()
    }
    return this.#host.isLeading()
  }

  /**
   * A write goes into the application; the function it gives is to be called once it has come out.
   * `waitsForClient`: whether its client still sends the body, or takes the answer.
   */
  begin(waitsForClient: () => boolean = () => false): () => void {
    const ended = this.#inside.add(waitsForClient)
    let isInside = true
    return () => {
      if (!isInside) return
      isInside = false
      ended()
      for (const look of this.#quiet) look()
    }
  }

  /**
   * Resolves with whether no write is inside the application, at the latest after `timeoutMs`. One
   * whose client takes its time is waited for a second at most: once the role has changed it can no
   * longer commit here, and no client is to keep it from changing.
   */
  async quiet(timeoutMs: number): Promise<boolean> {
    const graceMs = Math.min(CLIENT_GRACE_MS, timeoutMs / 2)
    if (await this.#until(() => this.#inside.size === 0, graceMs)) return true
    const isQuiet = () => this.#inside.all().every((waitsForClient) => waitsForClient())
    return this.#until(isQuiet, timeoutMs - graceMs)
  }

  /** `isReached` is asked whenever a write has come out. */
  async #until(isReached: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isReached()) return true
    let timer: Timer | undefined
    let look: () => void = () => {}
    await new Promise<void>((resolve) => {
      look = () => {
        if (isReached()) resolve()
      }
      this.#quiet.add(look)
      timer = setTimer(resolve, timeoutMs)
    })
    cancelTimer(timer)
    this.#quiet.delete(look)
    return isReached()
  }

  #settle(): void {
    const reason = [...this.#holds.values()].at(-1)
    if (this.#refusal || reason === undefined) this.#gate.open()
    else this.#gate.close(reason)
  }

  #away(): WalcastError {
    const { address, holdMs } = this.#options
    return new WalcastError('LEADER_AWAY', {
      address,
      seconds: holdMs / 1000,
      detail: this.#gate.reason,
    })
  }
}
