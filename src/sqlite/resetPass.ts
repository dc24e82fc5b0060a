/**
 * Brings a WAL to where the next writer starts it over: everything backfilled, and the read guard
 * on READ_LOCK(0). Runs on the SQLite thread in one go, because between the end of a backfill and
 * the guard's new begin no commit may come: each round trip between threads would ask for a longer
 * gap between two commits.
 *
 * The guard moves hand over hand: the new transaction begins, only then the old one ends. Where a
 * reset becomes possible by that, everything published is captured before; a move that capture does
 * not follow in time is taken back.
 */
import { messageOf } from '../errors.ts'
import type { CapturedFrame } from './capturedFrame.ts'
import type { CheckpointCounts } from './checkpointCounts.ts'

export type GuardNumber = 0 | 1

/** SQLite, the wal-index and the thread that captures, as a pass uses them. */
export interface ResetPassParts {
  /** False when it could not, and nothing was begun. */
  begin(guard: GuardNumber): boolean
  end(guard: GuardNumber): void
  /** PASSIVE; while another checkpointer is at work, again and again for `forMs` at most. */
  backfill(forMs: number): CheckpointCounts
  /** Takes SQLite's write lock. False when another connection holds it. */
  takeFence(forMs: number): boolean
  releaseFence(): void
  /** Whether a transaction of another process is under way; false when that cannot be told. */
  isRead(): boolean
  /** Undefined while it cannot be read. */
  published(): { readonly salt1: number; readonly mxFrame: number } | undefined
  backfilledFrames(): number
  readonly captured: CapturedFrame
  /** Asks the other thread to capture everything that is published. */
  askForCapture(isFenced: boolean): void
  nowMs(): number
}

export interface ResetPassRequest {
  /** The guard that is open. */
  readonly current: GuardNumber
  /** Backfills without a fence, before one is taken or the pass ends. */
  readonly rounds: number
  /**
   * When to stop all writers for the last backfill: never, unless another process reads, or in any
   * case.
   */
  readonly fence: 'never' | 'unless-read' | 'always'
  /** How long to insist on the write lock. */
  readonly fenceMs: number
  /** How long writers are stopped at most, but for a backfill that takes longer. */
  readonly stopMs: number
  /**
   * When more frames are not captured, they belong to a huge transaction: behind a fence writers
   * would wait for all of it.
   */
  readonly maxMissing: number
}

export interface ResetPass {
  /** The guard that is open now. */
  readonly current: GuardNumber
  /** Counts of the last backfill. */
  readonly counts: CheckpointCounts
  /** Everything was backfilled when the guard last began: it sits on READ_LOCK(0), most likely. */
  readonly isComplete: boolean
  /** A reader of another process kept the last backfill from its end. */
  readonly isBlocked: boolean
  /** How long the write lock was held. */
  readonly fencedMs: number
  /** The fence was let go of early, because another process was reading. */
  readonly yielded: boolean
  /**
   * The failure of SQLite, other than a lock that another connection holds; the guard is as
   * `current` says.
   */
  readonly failure: string | undefined
}

/** More than this left after a backfill means that writers do not pause. */
const FEW_FRAMES = 64
/** How long capture may take to follow a move. No writer waits for it. */
const CAPTURE_MS = 20
/** ... and at the end of a fence, after a backfill that took long. */
const LAST_CAPTURE_MS = 10
/** Readers are looked at so often while a fence waits for capture. */
const LOOK_MS = 1
/**
 * Looks before anything is done: one finds a transaction that has just begun, another a lock that
 * `/proc/locks` left out.
 */
const FIRST_LOOKS = 5
/**
 * How long a fence waits for transactions of other processes that read when it came: they end soon,
 * since they cannot write.
 */
const FENCED_READERS_MS = 10
/** An application's own checkpoint, begun before, is waited out: it ends by itself. */
const OTHER_CHECKPOINT_MS = 2
const FENCED_CHECKPOINT_MS = 10

const NOTHING: CheckpointCounts = { busy: true, walFrames: -1, backfilled: -1 }

export function runResetPass(parts: ResetPassParts, request: ResetPassRequest): ResetPass {
  return new Pass(parts, request).run()
}

class Pass {
  readonly #parts: ResetPassParts
  readonly #request: ResetPassRequest
  #current: GuardNumber
  #counts = NOTHING
  #isComplete = false
  #isBlocked = false
  #fencedMs = 0
  /** When the fence is to end. */
  #untilMs = 0
  #yielded = false
  #failure: string | undefined

  constructor(parts: ResetPassParts, request: ResetPassRequest) {
    this.#parts = parts
    this.#request = request
    this.#current = request.current
  }

  run(): ResetPass {
    try {
      this.#rounds()
    } catch (error) {
      this.#failure = messageOf(error)
    }
    return {
      current: this.#current,
      counts: this.#counts,
      isComplete: this.#isComplete,
      isBlocked: this.#isBlocked,
      fencedMs: this.#fencedMs,
      yielded: this.#yielded,
      failure: this.#failure,
    }
  }

  #rounds(): void {
    const { rounds, fence } = this.#request
    let left = Number.POSITIVE_INFINITY
    for (let round = 0; round < rounds && !this.#isComplete; round++) {
      const before = left
      left = this.#round(false)
      // Writers do not pause. Before a fence little is to be left, as long as backfills are faster
      // than they.
      const isHopeless = left > FEW_FRAMES && (fence === 'never' || left > before / 2)
      if (isHopeless && round > 0) break
    }
    if (fence !== 'never' && !this.#isComplete) this.#fenced()
  }

  #fenced(): void {
    if (!this.#parts.takeFence(this.#request.fenceMs)) return
    const beganMs = this.#parts.nowMs()
    let isOfUse = false
    try {
      isOfUse = !this.#isFarBehind()
      if (isOfUse) this.#stopWriters(beganMs)
    } finally {
      this.#parts.releaseFence()
      if (isOfUse) this.#fencedMs = this.#parts.nowMs() - beganMs
    }
  }

  #stopWriters(beganMs: number): void {
    this.#untilMs = beganMs + this.#request.stopMs
    // A reader that was in the way before the fence came may be gone.
    this.#isBlocked = false
    for (let look = 0; look < FIRST_LOOKS && !this.#mustYield(true); look++);
    if (!this.#yielded) this.#parts.askForCapture(true)
    this.#fencedRounds()
  }

  #fencedRounds(): void {
    const { nowMs } = this.#parts
    let areReadersWaitedFor = false
    while (!this.#isComplete && nowMs() < this.#untilMs && !this.#mustYield(true)) {
      const before = this.#counts
      this.#round(true)
      if (areReadersWaitedFor || this.#counts === before || !this.#isBlocked) continue
      areReadersWaitedFor = true
      this.#untilMs = nowMs() + FENCED_READERS_MS
    }
  }

  /**
   * Whether a polite fence ends now. The fence gets the write lock right after a commit, when there
   * may be no reader yet. An application whose transactions read first is seen a little later, and
   * each of its tries fails until the fence is gone.
   */
  #mustYield(isFenced: boolean): boolean {
    if (!isFenced || this.#request.fence !== 'unless-read') return false
    this.#yielded ||= this.#parts.isRead()
    return this.#yielded
  }

  #isFarBehind(): boolean {
    const end = this.#parts.published()
    return !end || this.#parts.captured.missing(end.salt1, end.mxFrame) > this.#request.maxMissing
  }

  /** Gives the number of frames that are left to backfill. */
  #round(isFenced: boolean): number {
    const mark = this.#move(isFenced)
    // A backfill syncs twice, and the wait for capture was not short either.
    if (mark === undefined || this.#mustYield(isFenced)) return Number.POSITIVE_INFINITY
    this.#counts = this.#parts.backfill(isFenced ? FENCED_CHECKPOINT_MS : OTHER_CHECKPOINT_MS)
    const { walFrames, backfilled } = this.#counts
    this.#isBlocked = walFrames >= 0 && backfilled < mark
    if (walFrames < 0 || backfilled < walFrames) return walFrames - backfilled
    const end = this.#move(isFenced)
    this.#isComplete = end === walFrames
    return end === undefined ? 0 : end - walFrames
  }

  /** Gives the published end, undefined when the guard stays where it was. */
  #move(isFenced: boolean): number | undefined {
    const { captured } = this.#parts
    const next = this.#current === 0 ? 1 : 0
    if (!this.#parts.begin(next)) return undefined
    const place = this.#look()
    // Capture must have reached this generation: the reset that began it was allowed and is no
    // loss.
    const frames = place?.mayReset ? place.mxFrame : Math.min(1, place?.mxFrame ?? 0)
    if (!place || !this.#isCaptured(place.salt1, frames, isFenced)) {
      this.#parts.end(next)
      return undefined
    }
    if (place.mayReset) captured.mayReset = true
    this.#parts.end(this.#current)
    if (!place.mayReset) captured.mayReset = false
    this.#current = next
    return place.mxFrame
  }

  /**
   * What is published, and whether a writer may start the WAL over: what is not backfilled now was
   * not when the guard began. It sits on a mark then, or on READ_LOCK(0) with frames behind it that
   * cannot be backfilled. Undefined while a generation begins.
   */
  #look():
    | { readonly salt1: number; readonly mxFrame: number; readonly mayReset: boolean }
    | undefined {
    const before = this.#parts.published()
    const backfilled = this.#parts.backfilledFrames()
    const after = this.#parts.published()
    if (!before || before.salt1 !== after?.salt1) return undefined
    return { ...after, mayReset: backfilled >= after.mxFrame }
  }

  #isCaptured(salt1: number, frames: number, isFenced: boolean): boolean {
    const { captured } = this.#parts
    if (captured.includes(salt1, frames)) return true
    this.#parts.askForCapture(isFenced)
    if (!isFenced) return captured.wait(salt1, frames, CAPTURE_MS)
    const { nowMs } = this.#parts
    const untilMs = Math.max(this.#untilMs, nowMs() + LAST_CAPTURE_MS)
    while (nowMs() < untilMs && !this.#mustYield(true))
      if (captured.wait(salt1, frames, LOOK_MS)) return true
    return false
  }
}
