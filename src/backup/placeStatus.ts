/** Where a place of an archive stands. */
import type { WalcastError } from '../errors.ts'
import type { Stand } from './batchRecord.ts'
import type { Renewed } from './renewal.ts'

export interface PlaceStatus {
  readonly place: string
  /** False while another node archives. */
  readonly isArchiving: boolean
  /** The newest position that can be restored from here; undefined until it is known. */
  readonly at: Stand | undefined
  /** When the leader noticed that position. */
  readonly timeMs: number | undefined
  /** The oldest batch that is not here; undefined when there is none, or none is known. */
  readonly waiting: Waiting | undefined
  /** Whether every batch is here; undefined while that is unknown. */
  readonly isLevel: boolean | undefined
  /** Whether a snapshot is wanted, or on its way into the place. */
  readonly isTakingSnapshot?: boolean
  /** The snapshot that is being written to the place, in bytes of the database. */
  readonly writing?: { readonly done: number; readonly total: number } | undefined
  /** The last snapshot that was taken because a file was found unsound. */
  readonly renewed: Renewed | undefined
  readonly error: WalcastError | undefined
}

export interface Waiting {
  /** When the leader noticed it, in its clock. */
  readonly timeMs: number
  /** For how long this node knows of it, whatever becomes of clocks. */
  readonly forMs: number
}

/** Whole ms: 0 only when nothing is missing, whatever a clock says; undefined when none knows. */
export function behindOf({ isLevel, waiting }: PlaceStatus, leaderMs: number): number | undefined {
  if (isLevel) return 0
  if (waiting) return Math.max(1, Math.round(Math.max(leaderMs - waiting.timeMs, waiting.forMs)))
  return isLevel === false ? 1 : undefined
}
