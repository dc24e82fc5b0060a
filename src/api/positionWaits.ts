import { containsPosition, type Lineage, type Standing } from '../../proto/lineage.ts'
import { formatPosition } from '../../proto/position.ts'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'

/** A position, or a txid in any epoch (`epoch` undefined). */
export type WaitTarget = { readonly epoch: number | undefined; readonly txid: number }

/** Whether a position is in this node's history: reached, still to come, or never (`unknown`). */
export type Reach = 'reached' | 'ahead' | 'unknown'

interface Waiter {
  readonly check: () => Reach
  /** What it waits for, in words for people. */
  readonly name: string
  readonly done: (error?: WalcastError) => void
}

/**
 * Requests that wait until a position is applied here. Bounded in number; each is bounded in time.
 */
export class PositionWaits {
  readonly #limit: number
  readonly #reach: (target: WaitTarget) => Reach
  readonly #waiters = new Set<Waiter>()

  constructor(limit: number, reach: (target: WaitTarget) => Reach) {
    this.#limit = limit
    this.#reach = reach
  }

  get size(): number {
    return this.#waiters.size
  }

  /**
   * Resolves when `target` is reached. `gone`: aborted when who waits went away. Throws
   * WAIT_TIMEOUT, POSITION_UNKNOWN, TOO_MANY_WAITS or CALLER_GONE.
   */
  until(target: WaitTarget, timeoutMs: number, gone?: AbortSignal): Promise<void> {
    return this.untilTrue(() => this.#reach(target), nameOf(target), timeoutMs, gone)
  }

  /**
   * The same for any condition that changes only with the node's position or its knowledge of the
   * leader. `name` says for people what it is.
   */
  async untilTrue(
    check: () => Reach,
    name: string,
    timeoutMs: number,
    gone?: AbortSignal,
  ): Promise<void> {
    const reach = check()
    if (reach === 'reached') return
    if (gone?.aborted) throw callerGone(name)
    if (reach === 'unknown') throw unknown(name)
    if (this.#waiters.size >= this.#limit)
      throw new WalcastError('TOO_MANY_WAITS', { limit: this.#limit })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimer(
        () =>
          waiter.done(
            new WalcastError('WAIT_TIMEOUT', { wanted: name, timeoutMs: Math.round(timeoutMs) }),
          ),
        timeoutMs,
      )
      const onGone = () => waiter.done(callerGone(name))
      const waiter: Waiter = {
        check,
        name,
        done: (error) => {
          cancelTimer(timer)
          gone?.removeEventListener('abort', onGone)
          this.#waiters.delete(waiter)
          if (error) reject(error)
          else resolve()
        },
      }
      this.#waiters.add(waiter)
      gone?.addEventListener('abort', onGone)
    })
  }

  /** To be called when the position moved or the node heard of its leader. */
  onMoved(): void {
    if (this.#waiters.size === 0) return
    for (const waiter of this.#waiters) {
      const reach = waiter.check()
      if (reach === 'reached') waiter.done()
      else if (reach === 'unknown') waiter.done(unknown(waiter.name))
    }
  }

  /** Ends all waits with STOPPING. */
  close(): void {
    for (const waiter of this.#waiters) waiter.done(new WalcastError('STOPPING'))
  }
}

function callerGone(wanted: string): WalcastError {
  return new WalcastError('CALLER_GONE', { wanted })
}

function unknown(name: string): WalcastError {
  return new WalcastError('POSITION_UNKNOWN', { wanted: name })
}

function nameOf({ epoch, txid }: WaitTarget): string {
  return epoch === undefined ? `txid ${txid}` : `position ${formatPosition({ epoch, txid })}`
}

/**
 * Where `target` lies for a node that stands at `now`. A position that a failover left behind is
 * unknown: it never comes.
 */
export function reachFrom(
  now: Standing,
  target: WaitTarget,
  isLeader: boolean,
  lineage: Lineage = [],
): Reach {
  const { epoch, txid } = target
  if (epoch === undefined) return txid <= now.txid ? 'reached' : 'ahead'
  if (containsPosition(now, lineage, { epoch, txid })) return 'reached'
  if (epoch === now.epoch) return 'ahead'
  return epoch > now.epoch && !isLeader ? 'ahead' : 'unknown'
}
