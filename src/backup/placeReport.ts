/** What a node answers of one place of its archive. */
import { formatPosition } from '../../proto/position.ts'
import type { PlaceReport } from '../api/backupStatus.ts'
import type { WalcastError } from '../errors.ts'
import type { Stand } from './batchRecord.ts'

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
  readonly error: WalcastError | undefined
}

export interface Waiting {
  /** When the leader noticed it, in its clock. */
  readonly timeMs: number
  /** For how long this node knows of it, whatever becomes of clocks. */
  readonly forMs: number
}

/** `alertMs`: a place that is behind by more stands still. */
export function reportOf(status: PlaceStatus, leaderMs: number, alertMs: number): PlaceReport {
  const { place, isArchiving, at, timeMs, error } = status
  const behindMs = isArchiving ? behindOf(status, leaderMs) : undefined
  return {
    place,
    isArchiving,
    isStalled: (behindMs ?? 0) > alertMs,
    ...(at && timeMs !== undefined
      ? {
          restorableUntil: {
            position: formatPosition(at),
            incarnation: at.incarnation,
            at: new Date(timeMs).toISOString(),
          },
        }
      : {}),
    ...(behindMs === undefined ? {} : { behindMs }),
    ...(error ? { lastError: { code: error.key, message: error.message } } : {}),
  }
}

/** Whole ms: 0 only when nothing is missing, whatever a clock says; undefined when none knows. */
function behindOf({ isLevel, waiting }: PlaceStatus, leaderMs: number): number | undefined {
  if (isLevel) return 0
  if (waiting) return Math.max(1, Math.round(Math.max(leaderMs - waiting.timeMs, waiting.forMs)))
  return isLevel === false ? 1 : undefined
}
