/** What `PRAGMA wal_checkpoint` answers (https://sqlite.org/pragma.html#pragma_wal_checkpoint). */
export interface CheckpointCounts {
  readonly busy: boolean
  /** Frames in the WAL, -1 when another checkpointer was at work. */
  readonly walFrames: number
  readonly backfilled: number
}
