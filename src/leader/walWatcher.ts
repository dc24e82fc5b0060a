/**
 * When to look at the WAL. Idle: file events, with a slow timer beneath. Under load: a short timer
 * and no file watch, so that the writer does not ring a bell for every commit. Without file events
 * (the system's inotify limit): the short timer after a commit, and looks that become rarer while
 * nothing comes, so that an idle leader costs next to nothing.
 */
import type { FSWatcher } from 'node:fs'
import type { Clock } from '../platform/clock.ts'
import { watch } from '../platform/files.ts'
import {
  cancelTimer,
  cancelTurn,
  onNextTurn,
  setTimer,
  type Timer,
  type Turn,
} from '../platform/time.ts'

export interface WalWatcherOptions {
  /** Looks per second that find something, from which on a timer is used instead of file events. */
  readonly pollAbovePerSecond: number
  /** Between two looks under load. */
  readonly pollMs: number
  /** Between two looks when nothing happens. */
  readonly idleMs: number
}

export interface WalWatcherHost {
  /** Captures, and says whether it found anything. */
  look(noticeMs: number): boolean
  /**
   * Whether the file holds frames that are not published: the event may have been for a commit
   * still to come.
   */
  isWriteUnderWay(): boolean
  /** There are no file events for now. Called once, until there are events again. */
  onUnwatched(error: unknown): void
}

/** Calls `onEvent` at each change of a file. Throws when that cannot be had. */
export type WatchFile = (path: string, onEvent: () => void) => FSWatcher

/**
 * A commit is in the file before the wal-index publishes it: how long to look again and again after
 * an event.
 */
const SPIN_MS = 0.4
/** ... and then with growing delays, because the writer may be syncing. */
const RETRY_MS = [1, 1, 2, 2, 4, 8, 16] as const
/** How late the file event of a commit may come. */
const LATE_EVENT_MS = 1
const CALM_LOOKS = 30
/**
 * Without file events each look after so many that found nothing comes by this factor later than
 * the one before...
 */
const RARER = 1.1
/** ... up to this, which is how late an idle leader may notice a commit then. */
const UNWATCHED_MS = 20
/** How often file events are tried for again. */
const REWATCH_MS = 10_000

export class WalWatcher {
  readonly #walPath: string
  readonly #options: WalWatcherOptions
  readonly #clock: Clock
  readonly #host: WalWatcherHost
  readonly #watch: WatchFile
  #watcher: FSWatcher | undefined
  #timer: Timer | undefined
  #turn: Turn | undefined
  #eventMs = 0
  #capturedMs = 0
  #retry = 0
  #polling = false
  /** There are no file events to be had. */
  #mustPoll = false
  #watchedMs = 0
  #emptyLooks = 0
  #windowStartMs = 0
  #windowFinds = 0
  #stopped = false

  constructor(
    walPath: string,
    options: WalWatcherOptions,
    clock: Clock,
    host: WalWatcherHost,
    watchFile: WatchFile = watch,
  ) {
    this.#walPath = walPath
    this.#options = options
    this.#clock = clock
    this.#host = host
    this.#watch = watchFile
  }

  start(): void {
    this.#watchFile()
    this.#schedule(0)
  }

  stop(): void {
    this.#stopped = true
    this.#watcher?.close()
    cancelTimer(this.#timer)
    cancelTurn(this.#turn)
  }

  /**
   * Another caller has captured what was there. The file event of that commit may still come, and
   * is not worth a spin.
   */
  onCaptured(): void {
    this.#capturedMs = this.#clock.nowMs()
  }

  /** Looks at the next turn of the event loop. */
  now(): void {
    if (this.#stopped || this.#turn) return
    this.#turn = onNextTurn(() => {
      this.#turn = undefined
      this.#onTimer()
    })
  }

  #watchFile(): void {
    this.#watchedMs = this.#clock.nowMs()
    try {
      const watcher = this.#watch(this.#walPath, () => this.#onEvent())
      this.#watcher = watcher
      this.#mustPoll = false
      watcher.on('error', (error) => {
        watcher.close()
        if (watcher === this.#watcher) this.#onUnwatched(error)
      })
    } catch (error) {
      this.#onUnwatched(error)
    }
  }

  /** Goes by the timer alone. */
  #onUnwatched(error: unknown): void {
    if (this.#stopped) return
    if (!this.#mustPoll) this.#host.onUnwatched(error)
    this.#polling = true
    this.#mustPoll = true
  }

  #onEvent(): void {
    if (this.#stopped || this.#polling) return
    this.#eventMs = this.#clock.nowMs()
    this.#retry = 0
    if (this.#tryLook(this.#eventMs) && !this.#host.isWriteUnderWay()) return
    if (this.#eventMs - this.#capturedMs < LATE_EVENT_MS && !this.#host.isWriteUnderWay())
      return this.#schedule(RETRY_MS[0])
    this.#spin()
  }

  #spin(): void {
    if (this.#turn || this.#stopped) return
    this.#turn = onNextTurn(() => {
      this.#turn = undefined
      const nowMs = this.#clock.nowMs()
      if (this.#tryLook(this.#eventMs) && !this.#host.isWriteUnderWay()) return
      if (nowMs - this.#eventMs < SPIN_MS) this.#spin()
      else this.#schedule(RETRY_MS[0])
    })
  }

  /**
   * Always sets the next timer, also between two looks of a spin: those end without one when they
   * find something.
   */
  #onTimer(): void {
    const found = this.#tryLook(this.#clock.nowMs())
    if (this.#stopped) return
    if (this.#polling) return this.#schedule(this.#pollDelayMs())
    if (found) this.#retry = 0
    const delayMs = this.#retry < RETRY_MS.length ? RETRY_MS[this.#retry++] : this.#options.idleMs
    this.#schedule(delayMs)
  }

  #pollDelayMs(): number {
    const { pollMs } = this.#options
    const calmLooks = this.#emptyLooks - CALM_LOOKS
    if (!this.#mustPoll || calmLooks <= 0) return pollMs
    if (this.#clock.nowMs() - this.#watchedMs >= REWATCH_MS) this.#stopPolling()
    return Math.max(pollMs, Math.min(UNWATCHED_MS, pollMs * RARER ** calmLooks))
  }

  #tryLook(noticeMs: number): boolean {
    const found = this.#host.look(noticeMs)
    this.#count(found, noticeMs)
    return found
  }

  #count(found: boolean, nowMs: number): void {
    this.#emptyLooks = found ? 0 : this.#emptyLooks + 1
    if (this.#polling) {
      if (this.#emptyLooks >= CALM_LOOKS && !this.#mustPoll) this.#stopPolling()
      return
    }
    if (nowMs - this.#windowStartMs > 100) {
      this.#windowStartMs = nowMs
      this.#windowFinds = 0
    }
    if (found && ++this.#windowFinds > this.#options.pollAbovePerSecond / 10) this.#startPolling()
  }

  #startPolling(): void {
    this.#polling = true
    this.#watcher?.close()
    this.#schedule(this.#options.pollMs)
  }

  #stopPolling(): void {
    this.#polling = false
    this.#windowFinds = 0
    this.#watchFile()
    this.#retry = 0
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return
    cancelTimer(this.#timer)
    this.#timer = setTimer(() => this.#onTimer(), delayMs)
  }
}
