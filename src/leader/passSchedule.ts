/**
 * Decides when the next checkpoint pass begins. Writers get a rest after a pass that did not
 * finish. A reader of another process that lingers makes passes futile: then they become rare, and
 * the WAL grows.
 */

export interface PassEnd {
  /** The WAL starts over with the next commit. */
  readonly complete: boolean
  /** A reader of another process was in the way. */
  readonly isBlocked: boolean
  readonly backfilledFrames: number
  readonly startMs: number
  readonly endMs: number
  /** Frames in the WAL now. */
  readonly walFrames: number
}

/** A pass that did not finish is followed by a rest of this many times its duration. */
const REST = 3
/** Passes in a row without any progress after which a reader counts as a long one. */
const PATIENCE = 3
/**
 * While a long reader blocks, each pass waits until the WAL has grown twice as much as before the
 * last one, up to 2^this soft limits.
 */
const MAX_BLOCKED_SHIFT = 5
/** While a long reader blocks an idle database, one round out of so many begins a pass. */
const BLOCKED_IDLE_ROUNDS = 10

export class PassSchedule {
  readonly #softWalFrames: number
  /** Frames in the WAL after the last pass. */
  #framesAfterPass = 0
  #restUntilMs = 0
  /** Passes in a row that a reader of another process kept from making progress. */
  #blockedPasses = 0
  #idleRounds = 0

  /** `softWalFrames`: frames in the WAL that start a pass. */
  constructor(softWalFrames: number) {
    this.#softWalFrames = softWalFrames
  }

  /** A reader of another process made the last pass futile. */
  get wasBlocked(): boolean {
    return this.#blockedPasses > 0
  }

  /** A reader of another process lingers. A fence does not help against it. */
  get hasLongReader(): boolean {
    return this.#blockedPasses > PATIENCE
  }

  /** To be called after each look that found frames. Cheap. */
  onFrames(walFrames: number): void {
    if (walFrames < this.#framesAfterPass) this.#framesAfterPass = 0
  }

  /** Whether a WAL past the soft limit is to be backfilled now. `isUrgent` breaks the rest. */
  isDue(walFrames: number, nowMs: number, isUrgent: boolean): boolean {
    if (!this.hasLongReader) return isUrgent || nowMs >= this.#restUntilMs
    const shift = Math.min(this.#blockedPasses - PATIENCE, MAX_BLOCKED_SHIFT)
    return walFrames - this.#framesAfterPass >= this.#softWalFrames << shift
  }

  /** To be called once for each idle round in which frames are left to backfill. */
  isDueWhenIdle(): boolean {
    return !this.hasLongReader || ++this.#idleRounds % BLOCKED_IDLE_ROUNDS === 0
  }

  onPass({ complete, isBlocked, backfilledFrames, startMs, endMs, walFrames }: PassEnd): void {
    // Readers that take turns may block each pass; only one that lingers lets none make progress.
    this.#blockedPasses = isBlocked && backfilledFrames === 0 ? this.#blockedPasses + 1 : 0
    this.#framesAfterPass = walFrames
    this.#restUntilMs = complete ? 0 : endMs + REST * (endMs - startMs)
  }
}
