/** What the archive of one place is made with. */
import type { Logger } from 'pino'
import type { WalcastError } from '../errors.ts'
import type { BatchLog } from './batchLog.ts'
import type { Stand } from './batchRecord.ts'
import type { FileMark } from './fileHeader.ts'
import type { TakenSnapshot } from './snapshotTaker.ts'
import type { Store } from './stores/store.ts'

export interface PlaceParts {
  readonly place: string
  /** The store of the place, the same each time; tried again when opening it fails. */
  open(): Promise<Store>
  readonly log: BatchLog
  readonly logger: Logger
  /** From one look at the log to the next: there is at most one file of changes for each. */
  readonly everyMs: number
  mark(): FileMark
  /** Pause between two looks at all files; see EndCheck. */
  readonly checkEveryMs?: number
  /** Whether this node is the one that archives. */
  isOn(): boolean
  /** This node would begin anew. Gives whether it leaves the archive to other nodes for now. */
  giveBack(): boolean
  /** After how long this node writes a place that stands still; undefined when it never does. */
  mayStandInMs(): number | undefined
  /** Where the log leads to; undefined while nothing is followed. */
  end(): Stand | undefined
  /** Whether the database is, or may be, ahead of `end`. */
  isOpen(): boolean
  /**
   * Takes a snapshot of a position in the log or at its end. Its file is there until `use` ends.
   * Throws STOPPING or STARTING when that is impossible now.
   */
  withSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void>
  onArchived(files: number): void
  onFailed(error: WalcastError): void
}
