/**
 * Clocks, timers and turns of the event loop. All of `src` has them from here, so that a simulation
 * can put a time of its own in their place (`replaceTime`). They do what Node's functions behind
 * them do.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** A timer that was set. */
export interface Timer {
  /** It does not keep the process alive. */
  unref(): Timer
  /** Begins anew. */
  refresh(): Timer
}

/** What was asked for at the next turn of the event loop. */
export interface Turn {
  unref(): Turn
}

export interface DelayOptions {
  /** Ends the delay early: it rejects with an `AbortError`. */
  readonly signal?: AbortSignal
  /** False: it does not keep the process alive. */
  readonly ref?: boolean
}

export interface TimeSource {
  wallMs(): number
  monotonicMs(): number
  nowMs(): number
  setTimer(then: () => void, delayMs: number): Timer
  setRepeatingTimer(then: () => void, everyMs: number): Timer
  cancelTimer(timer: Timer | undefined): void
  onNextTurn(then: () => void): Turn
  cancelTurn(turn: Turn | undefined): void
  delay(delayMs: number, options?: DelayOptions): Promise<void>
  timeLimit(limitMs: number): AbortSignal
}

const SYSTEM: TimeSource = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  nowMs: () => performance.timeOrigin + performance.now(),
  setTimer: (then, delayMs) => setTimeout(then, delayMs),
  setRepeatingTimer: (then, everyMs) => setInterval(then, everyMs),
  // These two get what those above gave.
  cancelTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  onNextTurn: (then) => setImmediate(then),
  cancelTurn: (turn) => clearImmediate(turn as NodeJS.Immediate | undefined),
  delay: (delayMs, options) => sleep(delayMs, undefined, options),
  timeLimit: (limitMs) => AbortSignal.timeout(limitMs),
}

let source = SYSTEM

/**
 * Puts another time in place of the system's for this whole thread, until the function that it
 * gives is called.
 */
export function replaceTime(other: TimeSource): () => void {
  source = other
  return () => {
    source = SYSTEM
  }
}

/** Milliseconds since 1970 as the system's clock has them now: it may be set back. */
export function wallMs(): number {
  return source.wallMs()
}

/** Milliseconds since some moment of this process, with fractions; never goes back. */
export function monotonicMs(): number {
  return source.monotonicMs()
}

/**
 * Milliseconds since 1970, with fractions, as the clock had them when the process began; never goes
 * back.
 */
export function nowMs(): number {
  return source.nowMs()
}

export function setTimer(then: () => void, delayMs: number): Timer {
  return source.setTimer(then, delayMs)
}

export function setRepeatingTimer(then: () => void, everyMs: number): Timer {
  return source.setRepeatingTimer(then, everyMs)
}

/** Of either kind. */
export function cancelTimer(timer: Timer | undefined): void {
  source.cancelTimer(timer)
}

/** Calls `then` once the events that have come by now are handled. */
export function onNextTurn(then: () => void): Turn {
  return source.onNextTurn(then)
}

export function cancelTurn(turn: Turn | undefined): void {
  source.cancelTurn(turn)
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void onNextTurn(resolve))
}

export function delay(delayMs: number, options?: DelayOptions): Promise<void> {
  return source.delay(delayMs, options)
}

/** Aborts after `limitMs` with a `TimeoutError`. */
export function timeLimit(limitMs: number): AbortSignal {
  return source.timeLimit(limitMs)
}
