/** What an open copy is built with, and whom it tells. */
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
  /** WAL bytes that start a checkpoint. */
  readonly walBytes: number
  readonly access: CopyAccess
  readonly lockTimeoutMs: number
}

export interface CopyHost {
  /**
   * Holds back messages until the function it gives is called. Messages that write to the copy are
   * handled in one go, so none is half done then.
   */
  hold(): () => void
  onCheckpoint(checkpoint: { readonly complete: boolean; readonly pauseMs: number }): void
  /** The copy was synced because somebody waits for that. */
  onDurable(syncMs: number): void
  /**
   * Something else wrote, or the lock could not be kept: the copy was looked at again; `same` when
   * its content is what it was.
   */
  onStray(error: WalcastError, same: boolean): void
  onFatal(error: WalcastError): void
}
