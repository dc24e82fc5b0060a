/**
 * Whether this node's application takes requests, and where those wait that it does not take.
 *
 *   requests:  open ── one is refused ──> closed ── a look succeeds, or one is answered ──> open
 *              open ── suspended (its process is about to end) ──> closed until `started`
 *   writes:    open ── held (its process is of an earlier role) ──> closed until `started` or `release`
 *   health:    up ── `fall` looks in a row fail ──> down ── `rise` in a row succeed ──> up
 *              down since the start ── one look succeeds, or a request is answered ──> up
 *
 * Whether a request is sent depends on the latest look or answer. Load balancers are told the
 * health, which a restart of a second does not change. An answered request counts as a look that
 * succeeded, so a busy application is never looked at. No request of a client is sent from here.
 */
import type { Logger } from 'pino'
import type { ApplicationStatus } from '../api/applicationStatus.ts'
import { WalcastError } from '../errors.ts'
import {
  cancelTimer,
  delay,
  monotonicMs,
  setRepeatingTimer,
  setTimer,
  type Timer,
} from '../platform/time.ts'
import { type Look, lookAt } from './applicationProbe.ts'
import { Gate } from './gate.ts'

export interface ApplicationWatchOptions {
  readonly maxHeld: number
  /** Pause between two looks while no request waits. */
  readonly everyMs: number
  readonly fall: number
  readonly rise: number
  /** Path that says whether it is well; undefined: accepting connections is enough. */
  readonly check: string | undefined
}

export interface ApplicationWatchHost {
  /** Of the application; undefined while none is known. */
  url(): string | undefined
  readonly log: Logger
  look?(url: string, check: string | undefined): Promise<Look>
}

/** Of another node: `none` has no application. */
export type ApplicationStanding = 'none' | 'up' | 'down' | 'unknown'

/** A request or an upgrade that waits. */
export interface Waiting {
  readonly gone: AbortSignal
}

/** Pause between two looks while requests wait. */
const LOOK_MS = 25
/** ... and, at the longest, while it boots: balancers are to hear of it as soon as it is up. */
const BOOT_LOOK_MS = 250
const UNHELD = { ref: false } as const

export class ApplicationWatch {
  readonly #options: ApplicationWatchOptions
  readonly #host: ApplicationWatchHost
  readonly #requests: Gate
  readonly #writes: Gate
  readonly #timer: Timer
  #bootTimer: Timer | undefined
  #looking: Promise<boolean> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  /** Since the last look by the clock. */
  #wasReached = false
  /** Since the last change of role. */
  #isProven = false
  #isSuspended = false
  #isStopped = false
  #wasUp = false
  /** It has not been well since it was started. */
  #isBooting = true
  /** A process that was just started: its check says when it is ready, not that it accepts. */
  #isStarting = false
  #health: 'up' | 'down' | 'unknown' = 'unknown'
  #streak = 0
  #detail = ''
  #heldTotal = 0

  constructor(options: ApplicationWatchOptions, host: ApplicationWatchHost) {
    this.#options = options
    this.#host = host
    const { maxHeld } = options
    this.#requests = new Gate({ maxHeld, probeMs: LOOK_MS }, () => this.#look())
    this.#writes = new Gate({ maxHeld })
    this.#timer = setRepeatingTimer(() => void this.#lookByTheClock(), options.everyMs)
    this.#timer.unref()
  }

  /** Requests that wait now. */
  get held(): number {
    return this.#requests.held + this.#writes.held
  }

  /** Nobody is kept any more. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Whether it is between two processes, or has none that is to come. */
  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** Requests that ever had to wait. */
  get heldTotal(): number {
    return this.#heldTotal
  }

  /** Whether its health is good. */
  get isUp(): boolean {
    return this.#health === 'up'
  }

  status(): ApplicationStatus | undefined {
    const url = this.#host.url()
    if (url === undefined) return undefined
    const accepts = this.#requests.isOpen && this.#writes.isOpen
    const detail = this.#reason(true) || (this.#health === 'down' ? this.#detail : '')
    return { url, state: this.#health, accepts, detail, held: this.held }
  }

  /**
   * What another node goes by that waits for this one's application: known since the last change of
   * role.
   */
  standing(): ApplicationStanding {
    if (this.#host.url() === undefined) return 'none'
    if (!this.#requests.isOpen || !this.#writes.isOpen) return 'down'
    return this.#isProven ? 'up' : 'unknown'
  }

  /**
   * Why load balancers are to send nobody here; undefined when the application is well, or there is
   * none to be.
   */
  unwell(): string | undefined {
    if (this.#health !== 'down' || this.#host.url() === undefined) return undefined
    return `the application is down: ${this.#detail}`
  }

  /**
   * Why a request is not to be sent to the application now; undefined when it is. Cheap: asked for
   * each request.
   */
  refuse(isWrite: boolean): WalcastError | undefined {
    if (this.#requests.isOpen && (!isWrite || this.#writes.isOpen)) return undefined
    return new WalcastError('APP_UNREACHABLE', {
      url: this.#host.url() ?? 'an address not known yet',
      detail: this.#reason(isWrite),
    })
  }

  /**
   * Resolves with whether the application may be tried again, at the latest at `endMs` or when the
   * client goes. Throws TOO_MANY_HELD.
   */
  async wait(client: Waiting, endMs: number, isWrite: boolean): Promise<boolean> {
    const gate = isWrite && !this.#writes.isOpen ? this.#writes : this.#requests
    if (!gate.isOpen) this.#heldTotal++
    return gate.wait(endMs - monotonicMs(), client.gone)
  }

  /** The node serves from now on. */
  begin(): void {
    void this.#lookByTheClock()
  }

  /** A request was answered. Cheap: told for each. */
  onReached(): void {
    this.#wasReached = true
    this.#onAccepted()
    if (this.#isBooting && !this.#isSuspended) this.#count('')
  }

  /** A request could not be sent. */
  onUnreachable(detail: string): void {
    if (!this.#isSuspended) this.#close(detail)
  }

  /** Whoever waits decides anew where to go: the role has changed, or the node stops. */
  reconsider(): void {
    this.#isProven = false
    for (const gate of [this.#requests, this.#writes]) {
      if (gate.isOpen) continue
      const { reason } = gate
      gate.open()
      gate.close(reason)
    }
    void this.#look()
  }

  /**
   * Whether it accepts after all, when that was not looked at just now: what was last heard of it
   * may be old.
   */
  async isBack(): Promise<boolean> {
    if (monotonicMs() - this.#lookedMs < LOOK_MS) return false
    // An address where nothing answers must not keep what another node may answer.
    return Promise.race([this.#look(), delay(LOOK_MS, UNHELD).then(() => false)])
  }

  /**
   * It has been asked for, and is perhaps back: looks now unless it has just done so. Cheap: told
   * for each request that goes elsewhere.
   */
  lookSoon(): void {
    if (monotonicMs() - this.#lookedMs >= LOOK_MS) void this.#look()
  }

  /** Writes wait: the application's process was started in an earlier role. */
  holdWrites(reason: string): void {
    this.#writes.close(reason)
  }

  releaseWrites(): void {
    this.#writes.open()
  }

  /** An application says that it listens: what was known of the one before counts no more. */
  attached(): void {
    this.#isSuspended = false
    this.#renew()
    this.#open()
  }

  /** Nothing goes to the application from now on: its process is about to end. */
  suspend(reason: string): void {
    this.#isSuspended = true
    this.#close(reason)
  }

  /** A process was started in the present role: it gets requests as soon as it accepts them. */
  started(): void {
    this.#isSuspended = false
    this.#isStarting = true
    this.#renew()
    this.#close('it is being started')
    this.#writes.open()
    void this.#look()
  }

  /** Lets everybody go, and keeps nobody from now on. */
  stop(): void {
    this.#isStopped = true
    cancelTimer(this.#timer)
    cancelTimer(this.#bootTimer)
    this.#requests.stop()
    this.#writes.stop()
  }

  #reason(isWrite: boolean): string {
    if (!this.#requests.isOpen) return this.#requests.reason
    return isWrite && !this.#writes.isOpen ? this.#writes.reason : ''
  }

  /** It is another one from now on. */
  #renew(): void {
    this.#isBooting = true
    this.#isProven = false
    this.#wasReached = false
  }

  #onAccepted(): void {
    this.#isProven = true
    if (!this.#requests.isOpen && !this.#isSuspended) this.#open()
  }

  #open(): void {
    this.#isStarting = false
    this.#requests.open()
  }

  #close(reason: string): void {
    this.#isProven = false
    this.#requests.close(reason)
  }

  /** One at a time, whoever asks. */
  #look(): Promise<boolean> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /**
   * Whether it accepts: a check that complains counts only before the first request, and for the
   * health.
   */
  async #lookOnce(): Promise<boolean> {
    const check = this.#isStarting ? this.#options.check : undefined
    const whyNot = await this.#ask(check)
    if (whyNot === undefined) return false
    if (whyNot !== '') this.onUnreachable(whyNot)
    // That it accepts says nothing of its health where a check is to say that.
    else if (check === this.#options.check) this.onReached()
    else this.#onAccepted()
    return whyNot === '' && !this.#isSuspended
  }

  /**
   * '' when it is well. Undefined when nothing can be told: there is none, or another one by now.
   */
  async #ask(check: string | undefined): Promise<string | undefined> {
    const url = this.#host.url()
    if (url === undefined || this.#isSuspended) return undefined
    this.#lookedMs = monotonicMs()
    const { whyNot = '' } = await (this.#host.look ?? lookAt)(url, check)
    return url === this.#host.url() && !this.#isSuspended ? whyNot : undefined
  }

  async #lookByTheClock(): Promise<void> {
    const { check } = this.#options
    const wasReached = this.#wasReached
    this.#wasReached = false
    if (wasReached) return this.#count('')
    const whyNot = await this.#ask(check)
    if (whyNot === '') this.onReached()
    else if (whyNot !== undefined && check === undefined) this.onUnreachable(whyNot)
    // What this look saw is no evidence for the next one.
    this.#wasReached = false
    this.#count(whyNot ?? this.#reason(false))
    if (this.#isBooting && this.#health === 'down') this.#lookAgain()
  }

  #lookAgain(): void {
    if (this.#isStopped || this.#bootTimer) return
    this.#bootTimer = setTimer(
      () => {
        this.#bootTimer = undefined
        void this.#lookByTheClock()
      },
      Math.min(this.#options.everyMs, BOOT_LOOK_MS),
    )
    this.#bootTimer.unref()
  }

  /** `whyNot`: '' when it was well at this look. The first look decides alone. */
  #count(whyNot: string): void {
    if (this.#host.url() === undefined) return
    const now = whyNot === '' ? 'up' : 'down'
    if (now === 'down') this.#detail = whyNot
    if (now === this.#health) this.#streak = 0
    else if (this.#health === 'unknown' || ++this.#streak >= this.#needed(now))
      this.#become(now, whyNot)
    if (now === 'up') this.#isBooting = false
  }

  /** Looks in a row. */
  #needed(health: 'up' | 'down'): number {
    const { fall, rise } = this.#options
    if (health === 'down') return fall
    return this.#isBooting ? 1 : rise
  }

  #become(health: 'up' | 'down', whyNot: string): void {
    this.#streak = 0
    this.#health = health
    this.#say(health, whyNot)
    this.#wasUp ||= health === 'up'
  }

  #say(health: 'up' | 'down', detail: string): void {
    const { log } = this.#host
    const url = this.#host.url()
    if (health === 'up')
      log.info({ url }, this.#wasUp ? 'the application answers again' : 'the application answers')
    else if (this.#wasUp) log.warn({ url, detail }, 'the application is down')
    else log.info({ url, detail }, 'the application does not answer yet')
  }
}
