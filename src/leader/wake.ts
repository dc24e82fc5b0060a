/**
 * When to look at the WAL. Idle: file events, with a slow timer beneath. Under load: a short timer and no file watch,
 * so that the writer does not ring a bell for every commit.
 */
import { type FSWatcher, watch } from 'node:fs'
import type { Clock } from '../clock.ts'

export interface WakeOptions {
  /** Looks per second that find something, from which on a timer is used instead of file events. */
  readonly pollAbovePerSecond: number
  /** Between two looks under load. */
  readonly pollMs: number
  /** Between two looks when nothing happens. */
  readonly idleMs: number
}

export interface WakeHost {
  /** Captures, and says whether it found anything. */
  look(noticeMs: number): boolean
  /** Whether the file holds frames that are not published: the event may have been for a commit still to come. */
  isWriteUnderWay(): boolean
}

/** A commit is in the file before the wal-index publishes it: how long to look again and again after an event. */
const SPIN_MS = 0.4
/** ... and then with growing delays, because the writer may be syncing. */
const RETRY_MS = [1, 1, 2, 2, 4, 8, 16] as const
/** How late the file event of a commit may come. */
const LATE_EVENT_MS = 1
const CALM_LOOKS = 30

export class Wake {
  readonly #walPath: string
  readonly #options: WakeOptions
  readonly #clock: Clock
  readonly #host: WakeHost
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #eventMs = 0
  #capturedMs = 0
  #retry = 0
  #polling = false
  #mustPoll = false
  #emptyLooks = 0
  #windowStartMs = 0
  #windowFinds = 0
  #stopped = false

  constructor(walPath: string, options: WakeOptions, clock: Clock, host: WakeHost) {
    this.#walPath = walPath
    this.#options = options
    this.#clock = clock
    this.#host = host
  }

  start(): void {
    this.#watchFile()
    this.#schedule(0)
  }

  stop(): void {
    this.#stopped = true
    this.#watcher?.close()
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  /** Somebody else has captured what was there: the file event of that commit may still come, and is not worth a spin. */
  onCaptured(): void {
    this.#capturedMs = this.#clock.nowMs()
  }

  /** Looks at the next turn of the event loop. */
  now(): void {
    if (this.#stopped || this.#immediate) return
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined
      this.#onTimer()
    })
  }

  #watchFile(): void {
    try {
      this.#watcher = watch(this.#walPath, () => this.#onEvent())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // No file events to be had (the system's inotify limit): the timer alone, as under load.
      this.#polling = true
      this.#mustPoll = true
    }
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
    if (this.#immediate || this.#stopped) return
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined
      const nowMs = this.#clock.nowMs()
      if (this.#tryLook(this.#eventMs) && !this.#host.isWriteUnderWay()) return
      if (nowMs - this.#eventMs < SPIN_MS) this.#spin()
      else this.#schedule(RETRY_MS[0])
    })
  }

  /** Always sets the next timer, also between two looks of a spin: those end without one when they find something. */
  #onTimer(): void {
    const found = this.#tryLook(this.#clock.nowMs())
    if (this.#stopped) return
    if (this.#polling) return this.#schedule(this.#options.pollMs)
    if (found) this.#retry = 0
    const delayMs = this.#retry < RETRY_MS.length ? RETRY_MS[this.#retry++] : this.#options.idleMs
    this.#schedule(delayMs)
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
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#onTimer(), delayMs)
  }
}
