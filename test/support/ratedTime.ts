/** Simulated machines whose monotonic clocks begin anywhere and run at rates of their own. */

import { type DelayOptions, replaceTime, type TimeSource } from '../../src/platform/time.ts'
import type { Owner, Scheduler } from '../simulation/scheduler.ts'

export class RatedMachine implements Owner {
  isAlive = true
  readonly name: string
  /** Of its clock, in milliseconds of the simulated time's millisecond. */
  readonly rate: number
  readonly offsetMs: number

  constructor(name: string, rate: number, offsetMs: number) {
    this.name = name
    this.rate = rate
    this.offsetMs = offsetMs
  }

  /** The simulated time at which its clock shows this. */
  elapsedAt(monotonicMs: number): number {
    return (monotonicMs - this.offsetMs) / this.rate
  }
}

/** The machine of an event is the one in whose event it was made. For the whole thread. */
export function replaceRatedTime(scheduler: Scheduler): () => void {
  const rate = () => (scheduler.owner instanceof RatedMachine ? scheduler.owner.rate : 1)
  const offsetMs = () => (scheduler.owner instanceof RatedMachine ? scheduler.owner.offsetMs : 0)
  const source: TimeSource = {
    wallMs: scheduler.wallMs,
    nowMs: scheduler.nowMs,
    monotonicMs: () => offsetMs() + scheduler.elapsedMs * rate(),
    setTimer: (then, delayMs) => scheduler.setTimer(then, delayMs / rate()),
    setRepeatingTimer: (then, everyMs) => scheduler.setRepeatingTimer(then, everyMs / rate()),
    cancelTimer: scheduler.cancelTimer,
    onNextTurn: scheduler.onNextTurn,
    cancelTurn: scheduler.cancelTurn,
    delay: (delayMs: number, options?: DelayOptions) => scheduler.delay(delayMs / rate(), options),
    timeLimit: (limitMs) => scheduler.timeLimit(limitMs / rate()),
  }
  return replaceTime(source)
}
