/**
 * The simulated time of all nodes: a queue of events in the order of their time, then of their
 * making. Nothing runs but one event after the other, each with every promise that it settles.
 *
 * Each event belongs to the process in whose event it was made. Those of a process that has died
 * do not happen.
 */
import type { DelayOptions, Timer, TimeSource, Turn } from '../../src/platform/time.ts'

/** Whom an event belongs to. */
export interface Owner {
  readonly isAlive: boolean
  /** Of its monotonic clock and its timers: 1.02 runs 2 % fast. 1 unless given. */
  readonly clockRate?: number
  /** By the simulation's time: until then it stands still. */
  readonly frozenUntilMs?: number
}

interface SimulatedEvent {
  atMs: number
  order: number
  readonly owner: Owner
  readonly run: () => void
  isCancelled: boolean
}

/** 2026-01-01: dates have to be dates. */
const EPOCH_MS = Date.UTC(2026, 0, 1)
/** What a turn of the event loop takes: whoever spins on turns sees time pass. */
const TURN_MS = 0.1
/** The shortest timer, as Node has it. */
const SHORTEST_MS = 1

/** The world itself, which does not die. */
export const NOBODY: Owner = { isAlive: true }

export class Scheduler implements TimeSource {
  readonly #queue: SimulatedEvent[] = []
  #elapsedMs = 0
  #order = 0
  #owner: Owner = NOBODY
  /** Events that happened. */
  count = 0

  /** Since the simulation began. */
  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Whose event happens now. */
  get owner(): Owner {
    return this.#owner
  }

  /** `afterMs` from now, exactly. */
  after(afterMs: number, run: () => void, owner: Owner = this.#owner): SimulatedEvent {
    const atMs = this.#elapsedMs + Math.max(0, afterMs)
    const event = { atMs, order: this.#order++, owner, run, isCancelled: false }
    this.#push(event)
    return event
  }

  /** Runs `work` as if it were an event of `owner`. */
  as<T>(owner: Owner, work: () => T): T {
    const before = this.#owner
    this.#owner = owner
    try {
      return work()
    } finally {
      this.#owner = before
    }
  }

  /** Runs events until `untilMs` have elapsed. What an event throws ends the simulation. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      const next = this.#queue[0]
      if (!next || next.atMs > untilMs) break
      this.#pop()
      if (next.isCancelled || !next.owner.isAlive) continue
      const { frozenUntilMs = 0 } = next.owner
      if (frozenUntilMs > next.atMs) {
        next.atMs = frozenUntilMs
        next.order = this.#order++
        this.#push(next)
        continue
      }
      this.#elapsedMs = next.atMs
      this.#owner = next.owner
      this.count++
      next.run()
      await settled()
      this.#owner = NOBODY
    }
    this.#elapsedMs = untilMs
  }

  wallMs = (): number => EPOCH_MS + Math.floor(this.#elapsedMs)
  monotonicMs = (): number => this.#elapsedMs * (this.#owner.clockRate ?? 1)
  nowMs = (): number => EPOCH_MS + this.#elapsedMs

  setTimer = (then: () => void, delayMs: number): Timer =>
    new SimulatedTimer(this, then, delayMs, false)

  setRepeatingTimer = (then: () => void, everyMs: number): Timer =>
    new SimulatedTimer(this, then, everyMs, true)

  cancelTimer = (timer: Timer | undefined): void => {
    if (timer instanceof SimulatedTimer) timer.cancel()
  }

  onNextTurn = (then: () => void): Turn => new SimulatedTurn(this.after(TURN_MS, then))

  cancelTurn = (turn: Turn | undefined): void => {
    if (turn instanceof SimulatedTurn) turn.event.isCancelled = true
  }

  delay = (delayMs: number, { signal }: DelayOptions = {}): Promise<void> =>
    new Promise((resolve, reject) => {
      const abort = () => {
        this.cancelTimer(timer)
        reject(new DOMException('The operation was aborted', 'AbortError'))
      }
      const timer = this.setTimer(() => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }, delayMs)
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
    })

  timeLimit = (limitMs: number): AbortSignal => {
    const controller = new AbortController()
    this.setTimer(() => controller.abort(new DOMException('too late', 'TimeoutError')), limitMs)
    return controller.signal
  }

  #push(event: SimulatedEvent): void {
    const queue = this.#queue
    let at = queue.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(event, queue[above])) break
      queue[at] = queue[above]
      at = above
    }
    queue[at] = event
  }

  #pop(): void {
    const queue = this.#queue
    const last = queue.pop()
    if (!last || queue.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= queue.length) break
      if (below + 1 < queue.length && isBefore(queue[below + 1], queue[below])) below++
      if (!isBefore(queue[below], last)) break
      queue[at] = queue[below]
      at = below
    }
    queue[at] = last
  }
}

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** Node handles the next tick once no promise is left to be handled. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

class SimulatedTimer implements Timer {
  readonly #scheduler: Scheduler
  readonly #owner: Owner
  readonly #then: () => void
  readonly #delayMs: number
  readonly #isRepeating: boolean
  #event: SimulatedEvent

  constructor(scheduler: Scheduler, then: () => void, delayMs: number, isRepeating: boolean) {
    this.#scheduler = scheduler
    this.#owner = scheduler.owner
    this.#then = then
    this.#delayMs = Math.max(SHORTEST_MS, delayMs)
    this.#isRepeating = isRepeating
    this.#event = this.#begin()
  }

  unref(): this {
    return this
  }

  refresh(): this {
    this.#event.isCancelled = true
    this.#event = this.#begin()
    return this
  }

  cancel(): void {
    this.#event.isCancelled = true
  }

  #begin(): SimulatedEvent {
    const run = () => {
      if (this.#isRepeating) this.#event = this.#begin()
      this.#then()
    }
    const delayMs = this.#delayMs / (this.#owner.clockRate ?? 1)
    return this.#scheduler.after(delayMs, run, this.#owner)
  }
}

class SimulatedTurn implements Turn {
  readonly event: SimulatedEvent

  constructor(event: SimulatedEvent) {
    this.event = event
  }

  unref(): this {
    return this
  }
}
