/** The system's time, moved ahead as a test says. Timers stay as they are. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TimeSource } from '../../src/platform/time.ts'

export interface ShiftedTime {
  shiftMs: number
  readonly source: TimeSource
}

export function shiftedTime(): ShiftedTime {
  const time: { shiftMs: number; source: TimeSource } = {
    shiftMs: 0,
    source: {
      wallMs: () => Date.now() + time.shiftMs,
      monotonicMs: () => performance.now() + time.shiftMs,
      nowMs: () => performance.timeOrigin + performance.now() + time.shiftMs,
      setTimer: (then, delayMs) => setTimeout(then, delayMs),
      setRepeatingTimer: (then, everyMs) => setInterval(then, everyMs),
      cancelTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
      onNextTurn: (then) => setImmediate(then),
      cancelTurn: (turn) => clearImmediate(turn as NodeJS.Immediate | undefined),
      delay: (delayMs, options) => sleep(delayMs, undefined, options),
      timeLimit: (limitMs) => AbortSignal.timeout(limitMs),
    },
  }
  return time
}
