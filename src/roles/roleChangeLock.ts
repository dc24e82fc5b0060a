/**
 * Changes of role exclude each other: one is asked for while another is under way, and is refused.
 */
import type { Logger } from 'pino'
import { messageOf, WalcastError } from '../errors.ts'

export class RoleChangeLock {
  readonly #log: Logger
  readonly #onOver: () => void
  /** For people. */
  #underWay: string | undefined
  #last: Promise<unknown> = Promise.resolve()
  #isOpen = false
  #isEnded = false

  /** `onOver`: a change has ended, in one way or another. */
  constructor(log: Logger, onOver: () => void) {
    this.#log = log
    this.#onOver = onOver
  }

  /** Whether roles may be changed now, or once what is under way is over. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isEnded
  }

  /** Whether the node has had its first role. */
  get hasOpened(): boolean {
    return this.#isOpen
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined
  }

  /** The node has its first role. */
  open(): void {
    this.#isOpen = true
  }

  /** No change begins from now on. */
  end(): void {
    this.#isEnded = true
  }

  /** Throws STARTING, STOPPING or ROLE_CHANGING, and what `change` throws. */
  async run<T>(what: string, change: () => Promise<T>): Promise<T> {
    if (!this.isOpen) throw new WalcastError(this.#isEnded ? 'STOPPING' : 'STARTING')
    if (this.#underWay) throw new WalcastError('ROLE_CHANGING', { detail: this.#underWay })
    this.#underWay = what
    // What throws before it begins ends the change, too.
    const running = (async () => change())().finally(() => {
      this.#underWay = undefined
      this.#onOver()
    })
    this.#last = running.catch(() => {})
    return running
  }

  /** The same where nobody waits: a failure is logged. */
  inBackground(what: string, change: () => Promise<void>): void {
    this.run(what, change).catch((error) => {
      if (!this.#isEnded) this.#log.error({ error: messageOf(error) }, `${what} failed`)
    })
  }

  /** Resolves when what is under way is over. Never rejects. */
  settled(): Promise<unknown> {
    return this.#last
  }
}
