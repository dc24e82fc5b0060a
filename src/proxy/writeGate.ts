/**
 * Whether the leader takes writes now. While it hands over, writes wait here and then go to the new
 * leader. Writes inside the application are counted, so that a handover can let them end. Bounded
 * in number and time.
 */
import { WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Held } from './client.ts'
import { Condition } from './condition.ts'
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
   * called for each write.
   */
  check(): void
}

/** Why writes wait. Each reason ends by itself, whatever becomes of the others. */
export type HoldFor =
  /** A change of role is under way. */
  | 'change'
  /** Another node may lead; this node is finding out. */
  | 'rival'
  /** This node stood still, and asks the others whether it still leads. */
  | 'frozen'

/** How long a change of role waits for writes that wait for their own clients. */
const CLIENT_GRACE_MS = 1000

export class WriteGate {
  readonly #options: WriteGateOptions
  readonly #host: WriteGateHost
  readonly #gate: Gate
  #refusal: WalcastError | undefined
  /** The reasons, for people. */
  readonly #holds = new Map<HoldFor, string>()
  /** For each write inside the application, whether it waits for its client. */
  readonly #inside = new UnderWay<() => boolean>()
  #heldTotal = 0
  /** Told when a write has come out. */
  readonly #rest = new Condition()

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

  /**
   * Writes wait from now on, until `release` is called for the same reason. `reason` is for people.
   */
  hold(what: HoldFor, reason: string): void {
    this.#holds.set(what, reason)
    this.#settle()
  }

  /** Writes are taken again, unless another reason holds them. */
  release(what: HoldFor): void {
    this.#holds.delete(what)
    this.#settle()
  }

  /** Writes are refused with this error from now on, also those that wait. Undefined: no longer. */
  refuseWith(error: WalcastError | undefined): void {
    this.#refusal = error
    this.#settle()
  }

  /**
   * This node is no longer the leader. Writes that wait go elsewhere, and no reason holds any more.
   */
  clear(): void {
    this.#holds.clear()
    this.refuseWith(undefined)
  }

  stop(): void {
    this.#gate.stop()
  }

  /**
   * Waits until writes are taken. False when this node is no longer the leader, or the client has
   * left. Throws LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD.
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
   * A write goes into the application. Call the function that this returns once the write has come
   * out. `waitsForClient`: whether the client still sends the body, or takes the answer.
   */
  begin(waitsForClient: () => boolean = () => false): () => void {
    const ended = this.#inside.add(waitsForClient)
    let isInside = true
    return () => {
      if (!isInside) return
      isInside = false
      ended()
      this.#rest.notify()
    }
  }

  /**
   * Resolves with whether no write is inside the application, at the latest after `timeoutMs`. A
   * write that waits for its client is waited for a second at most. Once the role has changed it
   * can no longer commit here, and no client may keep the role from changing.
   */
  async quiet(timeoutMs: number): Promise<boolean> {
    const graceMs = Math.min(CLIENT_GRACE_MS, timeoutMs / 2)
    if (await this.#rest.until(() => this.#inside.size === 0, graceMs)) return true
    const isQuiet = () => this.#inside.all().every((waitsForClient) => waitsForClient())
    return this.#rest.until(isQuiet, timeoutMs - graceMs)
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
