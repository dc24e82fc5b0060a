/** `--fence-when-alone`: a leader that hears no replica may have been replaced, so nobody writes until it hears one again. */
import type { Clock } from '../clock.ts'
import { WalcastError } from '../errors.ts'

export interface AloneFenceHost {
  readonly clock: Clock
  /** When a replica was last heard of, by the clock; 0 when none ever was. */
  lastHeardMs(): number
  /** The leader's fence; undefined while this node does not lead or changes its role. */
  fence(): AloneLeader | undefined
  inBackground(what: string, change: () => Promise<void>): void
}

export interface AloneLeader {
  readonly isFenced: boolean
  /** Nobody writes from now on. */
  close(error: WalcastError): Promise<void>
  open(): Promise<void>
}

const LOOK_MS = 250

export class AloneFence {
  readonly #afterMs: number
  readonly #host: AloneFenceHost
  readonly #timer: NodeJS.Timeout
  #sinceMs: number
  #leader: AloneLeader | undefined

  constructor(afterMs: number, host: AloneFenceHost) {
    this.#afterMs = afterMs
    this.#host = host
    this.#sinceMs = host.clock.nowMs()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const { clock, fence, lastHeardMs, inBackground } = this.#host
    const nowMs = clock.nowMs()
    const leader = fence()
    // Whoever has just come to lead is given the time.
    if (leader !== this.#leader) this.#sinceMs = nowMs
    this.#leader = leader
    if (!leader) return
    const isAlone = nowMs - Math.max(this.#sinceMs, lastHeardMs()) > this.#afterMs
    if (isAlone === leader.isFenced) return
    const seconds = Math.round(this.#afterMs / 1000)
    if (isAlone)
      inBackground('fencing alone', () => leader.close(new WalcastError('LEADER_ALONE', { seconds })))
    else inBackground('opening again', () => leader.open())
  }
}
