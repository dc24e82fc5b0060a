/**
 * `--fence-when-alone`: a leader that hears no replica may have been replaced, so nobody writes
 * until it hears one again.
 */

import type { Logger } from 'pino'
import { keyOf, WalcastError } from '../errors.ts'
import type { Leader } from '../leader/leader.ts'
import type { Clock } from '../platform/clock.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'
import type { WriteGate } from '../proxy/writeGate.ts'

export interface IsolationFenceHost {
  readonly clock: Clock
  /** When a replica was last heard of, by the clock; 0 when none ever was. */
  lastHeardMs(): number
  /** The leader's fence; undefined while this node does not lead or changes its role. */
  fence(): AloneLeader | undefined
  inBackground(what: string, change: () => Promise<void>): void
}

export interface AloneLeader {
  readonly isFenced: boolean
  /**
   * From the beginning of `close` to the end of `open`, also when the fence could not be taken:
   * something is shut then.
   */
  readonly isClosed: boolean
  /**
   * Nobody writes from now on, or from when a transaction that is under way has ended, for which it
   * is to be called again; requests are refused at once.
   */
  close(error: WalcastError): Promise<void>
  open(): Promise<void>
}

const LOOK_MS = 250
/**
 * One attempt to take the fence from a transaction that does not end: meanwhile no other change of
 * role can be.
 */
const FENCE_TRY_MS = 50

export class IsolationFence {
  readonly #afterMs: number
  readonly #host: IsolationFenceHost
  readonly #timer: Timer
  #sinceMs: number
  #leader: AloneLeader | undefined

  constructor(afterMs: number, host: IsolationFenceHost) {
    this.#afterMs = afterMs
    this.#host = host
    this.#sinceMs = host.clock.nowMs()
    this.#timer = setRepeatingTimer(() => this.#look(), LOOK_MS)
  }

  stop(): void {
    cancelTimer(this.#timer)
  }

  #look(): void {
    const { clock, fence, lastHeardMs, inBackground } = this.#host
    const nowMs = clock.nowMs()
    const leader = fence()
    if (!leader) return
    // Whoever has just come to lead is given the time; one whose change of role came to nothing is
    // not, nor one that was just being fenced.
    if (leader !== this.#leader) this.#sinceMs = nowMs
    this.#leader = leader
    const isAlone = nowMs - Math.max(this.#sinceMs, lastHeardMs()) > this.#afterMs
    if (isAlone ? leader.isFenced : !leader.isClosed) return
    const seconds = Math.round(this.#afterMs / 1000)
    if (isAlone)
      inBackground('fencing alone', () =>
        leader.close(new WalcastError('LEADER_ALONE', { seconds })),
      )
    else inBackground('opening again', () => leader.open())
  }
}

/**
 * Closes both ways in: requests are refused before they reach the application, and its own
 * connections find the write lock taken.
 */
export function aloneLeader(leader: Leader, admission: WriteGate, log: Logger): AloneLeader {
  let isClosed = false
  return {
    get isFenced() {
      return leader.isFenced
    },
    get isClosed() {
      return isClosed
    },
    async close(error) {
      if (!isClosed) log.error({ error: error.line }, 'no replica is heard of: nobody may write')
      const isFirst = !isClosed
      isClosed = true
      admission.refuseWith(error)
      await leader.takeFence(FENCE_TRY_MS).catch((failure) => {
        if (keyOf(failure) !== 'FENCE_FAILED') throw failure
        if (isFirst) log.warn('a transaction of the application is waited for; nobody else gets in')
      })
    },
    async open() {
      log.warn('a replica is heard of again: writes are let in')
      await leader.admitWriters()
      admission.refuseWith(undefined)
      isClosed = false
    },
  }
}
