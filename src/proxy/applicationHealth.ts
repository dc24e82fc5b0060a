/**
 * Whether an application is well, as load balancers are told: a restart of a second does not change
 * it.
 *
 *   unknown ── the first look ──> up or down
 *   up ── `fall` looks in a row fail ──> down ── `rise` looks in a row succeed ──> up
 *   down since the process started ── one look succeeds ──> up
 *
 * It only counts looks. Whether a request is sent to the application is not decided here.
 */
import type { Logger } from 'pino'

export interface HealthLimits {
  /** Looks in a row that fail before it is down. */
  readonly fall: number
  /** Looks in a row that succeed before it is up again. */
  readonly rise: number
}

export interface HealthHost {
  /** URL of the application; undefined while none is known. */
  url(): string | undefined
  readonly log: Logger
}

export type Health = 'up' | 'down' | 'unknown'

export class ApplicationHealth {
  readonly #limits: HealthLimits
  readonly #host: HealthHost
  #state: Health = 'unknown'
  #streak = 0
  #detail = ''
  #wasUp = false
  #isBooting = true

  constructor(limits: HealthLimits, host: HealthHost) {
    this.#limits = limits
    this.#host = host
  }

  get state(): Health {
    return this.#state
  }

  /** What the last look that failed said. */
  get detail(): string {
    return this.#detail
  }

  /** Whether the process has not been well since it was started. */
  get isBooting(): boolean {
    return this.#isBooting
  }

  /** Another process takes its place. */
  renew(): void {
    this.#isBooting = true
  }

  /** `whyNot`: '' when the application was well at this look. The first look decides alone. */
  count(whyNot: string): void {
    if (this.#host.url() === undefined) return
    const now = whyNot === '' ? 'up' : 'down'
    if (now === 'down') this.#detail = whyNot
    if (now === this.#state) this.#streak = 0
    else if (this.#state === 'unknown' || ++this.#streak >= this.#needed(now))
      this.#become(now, whyNot)
    if (now === 'up') this.#isBooting = false
  }

  /** Looks in a row. */
  #needed(state: 'up' | 'down'): number {
    const { fall, rise } = this.#limits
    if (state === 'down') return fall
    return this.#isBooting ? 1 : rise
  }

  #become(state: 'up' | 'down', whyNot: string): void {
    this.#streak = 0
    this.#state = state
    this.#say(state, whyNot)
    this.#wasUp ||= state === 'up'
  }

  #say(state: 'up' | 'down', detail: string): void {
    const { log } = this.#host
    const url = this.#host.url()
    if (state === 'up')
      log.info({ url }, this.#wasUp ? 'the application answers again' : 'the application answers')
    else if (this.#wasUp) log.warn({ url, detail }, 'the application is down')
    else log.info({ url, detail }, 'the application does not answer yet')
  }
}
