/**
 * Notices that nothing is written to the WAL while the read guard still blocks checkpoints. A FULL,
 * RESTART or TRUNCATE checkpoint of the application holds the write lock while it waits for the
 * guard (https://sqlite.org/c3ref/wal_checkpoint_v2.html). So the writers may be quiet just because
 * they all wait for that checkpoint.
 */
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

export interface QuietWatchHost {
  /** Frames in the WAL at the last look. */
  walFrames(): number
  /** Whether moving the guard lets a checkpoint get on. */
  standsInTheWay(): boolean
  /** Whether nothing is left that a checkpoint could wait for. */
  isDone(): boolean
  /** The guard should move now. */
  onQuiet(): void
}

const LOOK_MS = 4
/**
 * After a move the checkpoint that waited finishes its backfill soon, and then waits for the guard
 * once more.
 */
const SOON_MS = 2
const SOON_LOOKS = 25
/**
 * After so many looks nothing waits for the guard, or a reader of another process is in the way
 * too. It may end at any time.
 */
const QUICK_LOOKS = 500
const SLOW_MS = 50
/** Looks in a row without new frames that count as quiet: a writer may just be a little late. */
const QUIET_LOOKS = 3

export class QuietWatch {
  readonly #host: QuietWatchHost
  #timer: Timer | undefined
  #frames = -1
  #quietLooks = 0
  #stoodInTheWay = false
  #soonLooks = 0
  #stopped = false

  constructor(host: QuietWatchHost) {
    this.#host = host
  }

  /** Call this when frames were found. Cheap. */
  onFrames(): void {
    if (!this.#timer && !this.#stopped) this.#lookIn(LOOK_MS)
  }

  stop(): void {
    this.#stopped = true
    cancelTimer(this.#timer)
  }

  #lookIn(delayMs: number): void {
    this.#timer = setTimer(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = undefined
    if (this.#stopped) return
    const frames = this.#host.walFrames()
    this.#quietLooks = frames === this.#frames ? this.#quietLooks + 1 : 0
    this.#frames = frames
    if (this.#quietLooks > 0 && this.#host.isDone()) return
    const isSlow = this.#quietLooks > QUICK_LOOKS
    const isInTheWay = this.#quietLooks >= QUIET_LOOKS && this.#host.standsInTheWay()
    if (isInTheWay) {
      // Where one move after the other does not help, there is no hurry.
      if (!isSlow || !this.#stoodInTheWay) this.#soonLooks = SOON_LOOKS
      this.#host.onQuiet()
    }
    this.#stoodInTheWay = isInTheWay
    this.#lookIn(this.#soonLooks > 0 ? SOON_MS : isSlow ? SLOW_MS : LOOK_MS)
    if (this.#soonLooks > 0) this.#soonLooks--
  }
}
