/** Where time comes from, so that tests can drive it. */
export interface Clock {
  /** Milliseconds since 1970 with sub-millisecond digits; never goes back within a process. */
  nowMs(): number
}

export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
}
