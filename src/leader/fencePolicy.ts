/**
 * Decides when a checkpoint may fence writers out. A fence is the last resort: it fails every
 * transaction that has read and then tries to write, since SQLite does not call the busy handler in
 * that case (https://sqlite.org/c3ref/busy_handler.html).
 */
import { showsEveryLock } from '../sqlite/lockTable.ts'
import type { ResetPass, ResetPassRequest } from '../sqlite/resetPass.ts'

export interface FenceLimits {
  /** Frames in the WAL at which very fast writers are fenced out, if no other process reads. */
  readonly hardWalFrames: number
  /** Size of the WAL at which writers are fenced out in any case. */
  readonly maxWalBytes: number
  /** How long to wait for the fence before trying again later. */
  readonly fenceTimeoutMs: number
}

export interface WalLoad {
  readonly frames: number
  readonly bytes: number
  readonly commitsPerSecond: number
  /** The WAL must start over, whatever has to wait. */
  readonly mustMend: boolean
}

/** How long to insist on a fence and to keep it. */
export type FencePatience = Pick<ResetPassRequest, 'fenceMs' | 'stopMs' | 'maxMissing'>

export type FencedPass = Pick<ResetPass, 'fencedMs' | 'yielded' | 'isBlocked'>

/**
 * Faster writers leave no gap, and their own futile checkpoint at each commit costs them more than
 * a fence does.
 */
const FAST_COMMITS_PER_SECOND = 4000
/**
 * Pause after a fence that a reader made useless; after any other that did not complete a pass, the
 * longest pause.
 */
const FENCE_REST_MS = 1000
/** That other pause, in multiples of the time for which writers were stopped. */
const FENCE_RESTS = 4
/**
 * Each fence in a row that a reader of another process made useless doubles that pause, up to
 * 2^this.
 */
const MAX_REST_SHIFT = 5
/** For so long after another process was seen reading, no fence is taken below the maximum size. */
const POLITE_MS = 10_000
/** Writers are stopped for so long at most, unless a backfill takes longer. */
const STOP_MS = 10
/**
 * More uncaptured frames than this many hard limits, once the fence is taken, belong to a huge
 * transaction.
 */
const HUGE_WALS = 4
/**
 * Past this many maximum sizes writers are faster than capture and disk together, and a short stop
 * is of no use.
 */
const LONG_STOP_SIZES = 1.5
const LONG_STOP_MS = 250
/**
 * How far behind capture may be then, in maximum sizes: what it reads within such a stop, on most
 * machines.
 */
const LONG_STOP_MISSING = 1.5

export class FencePolicy {
  readonly #limits: FenceLimits
  readonly #seesReaders: boolean
  #politeUntilMs = 0
  #restUntilMs = 0
  #blockedFences = 0

  /**
   * `seesReaders` says that readers of all processes can be seen. Where some cannot, one may be
   * there at any moment.
   */
  constructor(limits: FenceLimits, seesReaders = showsEveryLock()) {
    this.#limits = limits
    this.#seesReaders = seesReaders
  }

  mayFence(nowMs: number): boolean {
    return nowMs >= this.#restUntilMs
  }

  isPastBound(walBytes: number): boolean {
    return walBytes >= this.#limits.maxWalBytes
  }

  choose(wal: WalLoad, nowMs: number): ResetPassRequest['fence'] {
    if (!this.mayFence(nowMs)) return 'never'
    if (wal.mustMend || this.isPastBound(wal.bytes)) return 'always'
    const isWorthIt =
      wal.frames >= this.#limits.hardWalFrames && wal.commitsPerSecond >= FAST_COMMITS_PER_SECOND
    return isWorthIt && this.#seesReaders && nowMs >= this.#politeUntilMs ? 'unless-read' : 'never'
  }

  /**
   * A WAL far beyond its maximum size is worth a longer stop: otherwise it grows for as long as the
   * writers go on. A WAL that grows because of readers is not.
   */
  limits({ frames, bytes }: Pick<WalLoad, 'frames' | 'bytes'>): FencePatience {
    const { fenceTimeoutMs: fenceMs, hardWalFrames, maxWalBytes } = this.#limits
    const maxMissing = HUGE_WALS * hardWalFrames
    const isFarBeyond = bytes >= LONG_STOP_SIZES * maxWalBytes
    if (!isFarBeyond || this.#blockedFences > 0) return { fenceMs, stopMs: STOP_MS, maxMissing }
    const maxFrames = (maxWalBytes * frames) / bytes
    return {
      fenceMs,
      stopMs: LONG_STOP_MS,
      maxMissing: Math.max(maxMissing, LONG_STOP_MISSING * maxFrames),
    }
  }

  /** `complete`: the WAL starts over with the next commit. */
  onPass({ fencedMs, yielded, isBlocked }: FencedPass, complete: boolean, nowMs: number): void {
    if (complete) this.#blockedFences = 0
    if (yielded) this.#politeUntilMs = nowMs + POLITE_MS
    if (complete || fencedMs === 0) return
    // The fastest writers write a gigabyte a second: a pass that only writers kept from its end is
    // tried again soon.
    const longestMs = FENCE_REST_MS << this.#blockedFences
    this.#restUntilMs =
      nowMs + (isBlocked ? longestMs : Math.min(longestMs, FENCE_RESTS * fencedMs))
    if (isBlocked && !yielded)
      this.#blockedFences = Math.min(this.#blockedFences + 1, MAX_REST_SHIFT)
  }
}
