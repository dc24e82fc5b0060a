/**
 * Notices that a WAL has fallen silent while the read guard still stands in the way of checkpoints. An application's own FULL,
 * RESTART or TRUNCATE checkpoint waits for the guard with the write lock in its hand (https://sqlite.org/c3ref/wal_checkpoint_v2.html),
 * so the silence may be of its making, and every writer waits.
 */

export interface QuietWatchHost {
  /** Frames in the WAL at the last look. */
  walFrames(): number
  /** Whether moving the guard lets a checkpoint get on. */
  standsInTheWay(): boolean
  /** Whether nothing is left that a checkpoint could wait for. */
  isDone(): boolean
  /** To move the guard. */
  onQuiet(): void
}

const LOOK_MS = 4
/** After a move the checkpoint that waited is soon through with its backfill, and waits for the guard once more. */
const SOON_MS = 2
const SOON_LOOKS = 25
/** After so many the silence is of nobody's making, or nothing here can end it. */
const MAX_QUIET_LOOKS = 500
/** Looks in a row that find nothing new before it counts as silence: a writer may just have been a little late. */
const QUIET_LOOKS = 3

export class QuietWatch {
  readonly #host: QuietWatchHost
  #timer: NodeJS.Timeout | undefined
  #frames = -1
  #quietLooks = 0
  #soonLooks = 0
  #stopped = false

  constructor(host: QuietWatchHost) {
    this.#host = host
  }

  /** To be called when frames were found. Cheap. */
  onFrames(): void {
    if (!this.#timer && !this.#stopped) this.#lookIn(LOOK_MS)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #lookIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = undefined
    if (this.#stopped) return
    const frames = this.#host.walFrames()
    this.#quietLooks = frames === this.#frames ? this.#quietLooks + 1 : 0
    this.#frames = frames
    if (this.#quietLooks > MAX_QUIET_LOOKS || (this.#quietLooks > 0 && this.#host.isDone())) return
    if (this.#quietLooks >= QUIET_LOOKS && this.#host.standsInTheWay()) {
      this.#soonLooks = SOON_LOOKS
      this.#host.onQuiet()
    }
    this.#lookIn(this.#soonLooks > 0 ? SOON_MS : LOOK_MS)
    if (this.#soonLooks > 0) this.#soonLooks--
  }
}
