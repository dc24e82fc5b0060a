import { nowMs } from './time.ts'

/** Where a part of a node has the time of day from. Tests give it a clock of their own. */
export interface Clock {
  /** Milliseconds since 1970 with sub-millisecond digits; never goes back within a process. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs }
