/**
 * Whether a node writes a place although another one has the grant. The holder of the grant may be
 * unable to reach the place, or may be a stranger in a cluster without keys. So the place itself is
 * what counts: where it stands still, a node that watches it writes to it for a while.
 */
import { isSameState, type Stand } from './batchRecord.ts'

/** For so long a node writes, ms, before it sees again whether another one does. */
const STAND_IN_MS = 10 * 60_000
/** A place without a snapshot may be getting a large one: so many times the usual patience. */
const FIRST_SNAPSHOT = 10

export class StandIn {
  #at: Stand | undefined
  /** Since when the place was seen to stand at `#at` while it lacks something. */
  #stillSinceMs: number | undefined
  #untilMs = 0

  isOn(nowMs: number): boolean {
    return nowMs < this.#untilMs
  }

  /**
   * The place ends at `at`, where the log leads to `end`. `patienceMs`: how long it may stand
   * still. Gives whether this node writes from now on.
   */
  look(at: Stand | undefined, end: Stand, patienceMs: number, nowMs: number): boolean {
    const isMoving = !isAlike(at, this.#at)
    const isLevel = at !== undefined && isSameState(at, end)
    this.#at = at
    if (isMoving || isLevel || this.#stillSinceMs === undefined) {
      this.#stillSinceMs = isLevel ? undefined : nowMs
      return false
    }
    const mostMs = at ? patienceMs : FIRST_SNAPSHOT * patienceMs
    if (nowMs - this.#stillSinceMs < mostMs) return false
    this.#stillSinceMs = undefined
    this.#untilMs = nowMs + STAND_IN_MS
    return true
  }

  /** This node has the grant itself. */
  end(): void {
    this.#stillSinceMs = undefined
    this.#untilMs = 0
  }
}

function isAlike(a: Stand | undefined, b: Stand | undefined): boolean {
  return a && b ? isSameState(a, b) : a === b
}
