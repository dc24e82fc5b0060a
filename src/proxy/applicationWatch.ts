/**
 * Whether this node's application takes requests, and the place where requests wait while it does
 * not.
 *
 *   requests:  open ── one is refused ──> closed ── a look succeeds, or one is answered ──> open
 *              open ── suspended (its process is about to end) ──> closed until `started`
 *   writes:    open ── held (its process is of an earlier role) ──> closed until `started`,
 *              or `releaseWrites`
 *
 * The latest look or answer decides whether a request is sent. Load balancers are told the health
 * instead, which a restart of a second does not change (`applicationHealth.ts`). An answered
 * request counts as a look that succeeded, so a busy application is never looked at. The watch
 * sends no request of a client.
 */
import type { ApplicationStatus } from '../api/applicationStatus.ts'
import { WalcastError } from '../errors.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import { ApplicationGates, type Waiting } from './applicationGates.ts'
import { ApplicationHealth, type HealthHost, type HealthLimits } from './applicationHealth.ts'
import { type Look, lookAt } from './applicationProbe.ts'
import { LookTimer } from './lookTimer.ts'

export interface ApplicationWatchOptions extends HealthLimits {
  readonly maxHeld: number
  /** Pause between two looks while no request waits. */
  readonly everyMs: number
  /**
   * Path that says whether the application is well. Undefined: it is well if it accepts
   * connections.
   */
  readonly check: string | undefined
}

export interface ApplicationWatchHost extends HealthHost {
  look?(url: string, check: string | undefined): Promise<Look>
}

/** What another node learns of this node's application. `none`: there is no application. */
export type ApplicationStanding = 'none' | 'up' | 'down' | 'unknown'

/** Pause between two looks while requests wait. */
const LOOK_MS = 25
const UNHELD = { ref: false } as const

export class ApplicationWatch {
  readonly #options: ApplicationWatchOptions
  readonly #host: ApplicationWatchHost
  readonly #gates: ApplicationGates
  readonly #health: ApplicationHealth
  readonly #timer: LookTimer
  #looking: Promise<boolean> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  /** A request was answered since the last look by the clock. */
  #wasReached = false
  /** The application has accepted a request or a look since the last change of role. */
  #isProven = false
  #isSuspended = false
  #isStopped = false
  /** The process was just started: only its check says when it is ready. */
  #isStarting = false

  constructor(options: ApplicationWatchOptions, host: ApplicationWatchHost) {
    this.#options = options
    this.#host = host
    this.#health = new ApplicationHealth(options, host)
    const { maxHeld } = options
    this.#gates = new ApplicationGates({ maxHeld, probeMs: LOOK_MS }, () => this.#look())
    this.#timer = new LookTimer(options.everyMs, () => void this.#lookByTheClock())
  }

  /** Requests that wait now. */
  get held(): number {
    return this.#gates.held
  }

  /** Whether the watch has stopped: requests no longer wait. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Whether the application is between two processes, or will not have another one. */
  get isSuspended(): boolean {
    return this.#isSuspended
  }

  /** Requests that ever had to wait. */
  get heldTotal(): number {
    return this.#gates.heldTotal
  }

  /** Whether its health is good. */
  get isUp(): boolean {
    return this.#health.state === 'up'
  }

  status(): ApplicationStatus | undefined {
    const url = this.#host.url()
    if (url === undefined) return undefined
    const accepts = this.#gates.isOpen(true)
    const { state, detail: unwell } = this.#health
    const detail = this.#gates.reason(true) || (state === 'down' ? unwell : '')
    return { url, state, accepts, detail, held: this.held }
  }

  /**
   * What another node that waits for this application goes by. It counts from the last change of
   * role.
   */
  standing(): ApplicationStanding {
    if (this.#host.url() === undefined) return 'none'
    if (!this.#gates.isOpen(true)) return 'down'
    return this.#isProven ? 'up' : 'unknown'
  }

  /**
   * Why load balancers should send no clients here; undefined when the application is well, or
   * there is none.
   */
  unwell(): string | undefined {
    if (this.#health.state !== 'down' || this.#host.url() === undefined) return undefined
    return `the application is down: ${this.#health.detail}`
  }

  /**
   * Why a request must not be sent to the application now; undefined when it may. Cheap: asked for
   * each request.
   */
  refuse(isWrite: boolean): WalcastError | undefined {
    if (this.#gates.isOpen(isWrite)) return undefined
    return new WalcastError('APP_UNREACHABLE', {
      url: this.#host.url() ?? 'an address not known yet',
      detail: this.#gates.reason(isWrite),
    })
  }

  /**
   * Resolves with whether the application may be tried again, at the latest at `endMs` or when the
   * client goes. Throws TOO_MANY_HELD.
   */
  wait(client: Waiting, endMs: number, isWrite: boolean): Promise<boolean> {
    return this.#gates.wait(client, endMs, isWrite)
  }

  /** The node begins to serve. */
  begin(): void {
    void this.#lookByTheClock()
  }

  /** A request was answered. Cheap: called for each one. */
  onReached(): void {
    this.#wasReached = true
    this.#onAccepted()
    if (this.#health.isBooting && !this.#isSuspended) this.#health.count('')
  }

  /** A request could not be sent. */
  onUnreachable(detail: string): void {
    if (!this.#isSuspended) this.#close(detail)
  }

  /** The role has changed, or the node stops: requests that wait are decided anew. */
  reconsider(): void {
    this.#isProven = false
    this.#gates.release()
    void this.#look()
  }

  /**
   * Whether the application accepts after all. It is asked, unless it was a moment ago: what was
   * last heard of it may be old.
   */
  async isBack(): Promise<boolean> {
    if (monotonicMs() - this.#lookedMs < LOOK_MS) return false
    // A read that another node may answer does not wait for an address where nothing answers.
    return Promise.race([this.#look(), delay(LOOK_MS, UNHELD).then(() => false)])
  }

  /**
   * Looks now, unless it has just done so: the application may be back. Cheap: called for each
   * request that goes elsewhere.
   */
  lookSoon(): void {
    if (monotonicMs() - this.#lookedMs >= LOOK_MS) void this.#look()
  }

  /** Writes wait from now on: the application's process was started in an earlier role. */
  holdWrites(reason: string): void {
    this.#gates.writes.close(reason)
  }

  releaseWrites(): void {
    this.#gates.writes.open()
  }

  /** An application says that it listens. What was known of the one before no longer counts. */
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
    this.#gates.writes.open()
    void this.#look()
  }

  /** Releases all requests that wait, and keeps none from now on. */
  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
    this.#gates.stop()
  }

  /** Another process takes its place. */
  #renew(): void {
    this.#health.renew()
    this.#isProven = false
    this.#wasReached = false
  }

  #onAccepted(): void {
    this.#isProven = true
    if (!this.#gates.requests.isOpen && !this.#isSuspended) this.#open()
  }

  #open(): void {
    this.#isStarting = false
    this.#gates.requests.open()
  }

  #close(reason: string): void {
    this.#isProven = false
    this.#gates.requests.close(reason)
  }

  /** One look at a time, however many ask. */
  #look(): Promise<boolean> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /**
   * Whether the application accepts. A check that complains counts only before the first request,
   * and for the health.
   */
  async #lookOnce(): Promise<boolean> {
    const check = this.#isStarting ? this.#options.check : undefined
    const whyNot = await this.#ask(check)
    if (whyNot === undefined) return false
    if (whyNot !== '') this.onUnreachable(whyNot)
    // Where a check says whether it is well, accepting a connection does not.
    else if (check === this.#options.check) this.onReached()
    else this.#onAccepted()
    return whyNot === '' && !this.#isSuspended
  }

  /**
   * Why it is not well; '' when it is. Undefined when nothing can be told: there is no application,
   * or another one by now.
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
    if (wasReached) return this.#health.count('')
    const whyNot = await this.#ask(check)
    if (whyNot === '') this.onReached()
    else if (whyNot !== undefined && check === undefined) this.onUnreachable(whyNot)
    // This look is no evidence for the next one.
    this.#wasReached = false
    this.#health.count(whyNot ?? this.#gates.reason(false))
    if (this.#health.isBooting && this.#health.state === 'down') this.#timer.soon()
  }
}
