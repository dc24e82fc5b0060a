/**
 * An open database whose write lock this process holds, on its way from the engine of one role to
 * that of the next: nothing is scanned again, and no other connection of any process can write in
 * between.
 */
import type { DatabaseFiles } from './databaseFiles.ts'
import type { FrameMap } from './frameMap.ts'
import type { PageSums } from './pageSums.ts'
import type { PositionLog } from './positionLog.ts'
import type { WalIndexReader } from './walIndexReader.ts'

/**
 * The connection that holds SQLite's write lock for a whole role, or for a moment as a fence. It
 * never reads content or writes.
 */
export const WRITE_LOCK_CONNECTION = 'write-lock'

export interface HeldDatabase {
  readonly files: DatabaseFiles
  readonly walIndex: WalIndexReader
  /** The checksums of the state at `position`, settled. */
  readonly sums: PageSums
  /** Frames of this WAL generation up to its published end. */
  readonly frames: FrameMap
  readonly positions: PositionLog
  readonly position: { readonly epoch: number; readonly incarnation: string; readonly txid: number }
}
