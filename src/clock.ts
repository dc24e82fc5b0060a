/** Where time comes from, so that tests can drive it. */
export interface Clock {
  /** Milliseconds since 1970 with sub-millisecond digits; never goes back within a process. */
  nowMs(): number
}

export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
}

export interface Timers {
  set(callback: () => void, delayMs: number): Timer
}

export interface Timer {
  clear(): void
}

/** Timers that do not keep the process alive. */
export const systemTimers: Timers = {
  set(callback, delayMs) {
    const handle = setTimeout(callback, delayMs)
    handle.unref()
    return { clear: () => clearTimeout(handle) }
  },
}
