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
  /** Path that says whether it is well; undefined: accepting connections is enough. */
  readonly check: string | undefined
}

export interface ApplicationWatchHost extends HealthHost {
  look?(url: string, check: string | undefined): Promise<Look>
}

/** Of another node: `none` has no application. */
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
  /** Since the last look by the clock. */
  #wasReached = false
  /** Since the last change of role. */
  #isProven = false
  #isSuspended = false
  #isStopped = false
  /** A process that was just started: its check says when it is ready, not that it accepts. */
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
   * What another node goes by that waits for this one's application: known since the last change of
   * role.
   */
  standing(): ApplicationStanding {
    if (this.#host.url() === undefined) return 'none'
    if (!this.#gates.isOpen(true)) return 'down'
    return this.#isProven ? 'up' : 'unknown'
  }

  /**
   * Why load balancers are to send nobody here; undefined when the application is well, or there is
   * none to be.
   */
  unwell(): string | undefined {
    if (this.#health.state !== 'down' || this.#host.url() === undefined) return undefined
    return `the application is down: ${this.#health.detail}`
  }

  /**
   * Why a request is not to be sent to the application now; undefined when it is. Cheap: asked for
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

  /** The node serves from now on. */
  begin(): void {
    void this.#lookByTheClock()
  }

  /** A request was answered. Cheap: told for each. */
  onReached(): void {
    this.#wasReached = true
    this.#onAccepted()
    if (this.#health.isBooting && !this.#isSuspended) this.#health.count('')
  }

  /** A request could not be sent. */
  onUnreachable(detail: string): void {
    if (!this.#isSuspended) this.#close(detail)
  }

  /** Whoever waits decides anew where to go: the role has changed, or the node stops. */
  reconsider(): void {
    this.#isProven = false
    this.#gates.release()
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
    this.#gates.writes.close(reason)
  }

  releaseWrites(): void {
    this.#gates.writes.open()
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
    this.#gates.writes.open()
    void this.#look()
  }

  /** Lets everybody go, and keeps nobody from now on. */
  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
    this.#gates.stop()
  }

  /** It is another one from now on. */
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
    if (wasReached) return this.#health.count('')
    const whyNot = await this.#ask(check)
    if (whyNot === '') this.onReached()
    else if (whyNot !== undefined && check === undefined) this.onUnreachable(whyNot)
    // What this look saw is no evidence for the next one.
    this.#wasReached = false
    this.#health.count(whyNot ?? this.#gates.reason(false))
    if (this.#health.isBooting && this.#health.state === 'down') this.#timer.soon()
  }
}
