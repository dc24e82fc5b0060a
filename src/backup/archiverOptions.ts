/** What an archiver is made with. */
import type { Logger } from 'pino'
import type { Position } from '../../proto/position.ts'
import type { ArchivistAnswer } from '../api/archivist.ts'
import type { KeepPolicy } from '../options/keepPolicy.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { ArchivedWaits } from './archivedWaits.ts'
import type { BackupOn } from './archivist.ts'
import type { BatchLogLimits } from './batchLog.ts'
import type { FileMark } from './fileHeader.ts'
import type { Store } from './stores/store.ts'

export interface ArchiverOptions {
  readonly db: string
  /** Of the log and of snapshots on their way; the node's own. */
  readonly folder: string
  readonly limits: BatchLogLimits
  /** Pause between two files of a place. */
  readonly everyMs: number
  /** A place that is behind by more stands still. */
  readonly alertMs: number
  /** Undefined: everything stays. */
  readonly keep: KeepPolicy | undefined
  /** Pause between two rounds that keep the places small. */
  readonly keepEveryMs: number
  readonly log: Logger
  readonly ops: FileOps
  /** Folders or URLs. */
  readonly places: readonly string[]
  open(place: string): Promise<Store>
  mark(): FileMark
  readonly on: BackupOn
  /**
   * Asks the leader at this address whether this node archives, and tells it what each place has;
   * or gives the archive back.
   */
  ask(
    leader: string,
    archived: Position | undefined,
    isDeclining: boolean,
  ): Promise<ArchivistAnswer>
  /** Waits for the archive, while this node leads. */
  readonly archived: ArchivedWaits
  readonly observer: ArchiverObserver
}

export interface ArchiverObserver {
  onArchived(place: string, files: number): void
  onFailed(place: string, code: string): void
  /** A round that keeps the place small has ended. */
  onUpkeep(place: string): void
  /** Files of the log that a place may still have needed are gone: the log was full. */
  onDropped(bytes: number): void
  /** Batches that no place has are lost to the archive: it goes on with a snapshot. */
  onBroken(): void
}
