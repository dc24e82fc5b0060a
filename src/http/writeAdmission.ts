/**
 * Whether the leader takes writes now. While it hands over they wait here, and then go where the leader is; those that are
 * inside the application are counted, so that a handover can let them end. Bounded in number and time.
 */
import { WalcastError } from '../errors.ts'
import type { Client } from './client.ts'
import { Gate } from './gate.ts'

export interface WriteAdmissionOptions {
  readonly maxHeld: number
  readonly holdMs: number
  /** HOST:PORT of this node, for errors. */
  readonly address: string
}

export interface WriteAdmissionHost {
  isLeading(): boolean
  /** Looks whether this node can still be sure that it leads, and holds writes when not. Cheap: asked for each write. */
  check(): void
}

const PROBE_MS = 60_000

export class WriteAdmission {
  readonly #options: WriteAdmissionOptions
  readonly #host: WriteAdmissionHost
  readonly #gate: Gate
  #refusal: WalcastError | undefined
  #underWay = 0
  #heldTotal = 0
  readonly #quiet = new Set<() => void>()

  constructor(options: WriteAdmissionOptions, host: WriteAdmissionHost) {
    this.#options = options
    this.#host = host
    // Nothing is asked: whoever holds writes lets them go.
    this.#gate = new Gate({ maxHeld: options.maxHeld, probeMs: PROBE_MS }, async () => false)
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
    return this.#underWay
  }

  /** Why nothing is taken at this moment; undefined when writes are. */
  refuse(): WalcastError | undefined {
    this.#host.check()
    if (this.#refusal) return this.#refusal
    return this.#gate.isOpen ? undefined : new WalcastError('SWITCHING')
  }

  /** Writes that come from now on wait. `reason` is for people. */
  hold(reason: string): void {
    this.#gate.close(reason)
  }

  /** Writes that come from now on are refused with this error. */
  refuseWith(error: WalcastError): void {
    this.#refusal = error
    this.#gate.open()
  }

  open(): void {
    this.#refusal = undefined
    this.#gate.open()
  }

  stop(): void {
    this.#gate.stop()
  }

  /** Waits until writes are taken. False when this node leads no more, or the client has gone. Throws LEADER_AWAY, LEADER_ALONE or TOO_MANY_HELD. `endMs`: until when, of one that has waited before. */
  async admit(
    client: Pick<Client, 'gone' | 'isGone'>,
    endMs = performance.now() + this.#options.holdMs,
  ): Promise<boolean> {
    for (let isFirst = true; this.refuse() !== undefined; isFirst = false) {
      if (this.#refusal) throw this.#refusal
      if (isFirst) this.#heldTotal++
      const isOpen = await this.#gate.wait(endMs - performance.now(), client.gone)
      if (client.isGone || !this.#host.isLeading()) return false
      if (!isOpen) throw this.#away()
    }
    return this.#host.isLeading()
  }

  /** A write goes into the application; the function it gives is to be called once it has come out. */
  begin(): () => void {
    this.#underWay++
    let isInside = true
    return () => {
      if (!isInside) return
      isInside = false
      if (--this.#underWay === 0) for (const wake of this.#quiet) wake()
    }
  }

  /** Resolves with whether no write is inside the application, at the latest after `timeoutMs`. */
  async quiet(timeoutMs: number): Promise<boolean> {
    if (this.#underWay === 0) return true
    let timer: NodeJS.Timeout | undefined
    let wake: () => void = () => {}
    await new Promise<void>((resolve) => {
      wake = resolve
      this.#quiet.add(wake)
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
    this.#quiet.delete(wake)
    return this.#underWay === 0
  }

  #away(): WalcastError {
    const { address, holdMs } = this.#options
    return new WalcastError('LEADER_AWAY', { address, seconds: holdMs / 1000, detail: this.#gate.reason })
  }
}
