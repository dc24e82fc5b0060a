/** What a node answers of the dated snapshots that it makes (--snapshot-every). */
import type { PlaceError } from './backupStatus.ts'

export interface SnapshotReport {
  /** A folder, or the URL of a bucket. */
  readonly place: string
  readonly everyMs: number
  /** The newest one of this database there; absent before the first. */
  readonly last?: {
    readonly name: string
    /** EPOCH-TXID. */
    readonly position: string
    /** ISO time. */
    readonly at: string
    readonly bytes: number
  }
  /** Whether for two pauses none was made that was due. */
  readonly isOverdue: boolean
  /** For how long none was made, nor found unnecessary, ms. */
  readonly sinceMs: number
  readonly lastError?: PlaceError
}
