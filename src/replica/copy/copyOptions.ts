/** The options of an open copy, and the interface of its owner. */
import type { Logger } from 'pino'
import type { WalcastError } from '../../errors.ts'
import type { Clock } from '../../platform/clock.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import type { PositionLog } from '../../sqlite/positionLog.ts'
import type { SqliteThread } from '../../sqlite/sqliteThread.ts'
import type { CopyAccess } from './copyAccess.ts'

export interface CopyOptions {
  readonly path: string
  readonly thread: SqliteThread
  readonly ops: FileOps
  readonly clock: Clock
  readonly log: Logger
  readonly positions: PositionLog
  /** At this size of the WAL a checkpoint begins. */
  readonly walBytes: number
  readonly access: CopyAccess
  readonly lockTimeoutMs: number
}

export interface CopyHost {
  /**
   * Holds messages back until the returned function is called. Messages that write to the copy are
   * handled synchronously, so none is half done then.
   */
  hold(): () => void
  onCheckpoint(checkpoint: { readonly complete: boolean; readonly pauseMs: number }): void
  /** A sync of the copy that a client waits for took `syncMs`. */
  onDurable(syncMs: number): void
  /**
   * Something else wrote to the copy, or the lock was lost. The copy has been read again; `same`
   * tells that its content is unchanged.
   */
  onStray(error: WalcastError, same: boolean): void
  onFatal(error: WalcastError): void
}
