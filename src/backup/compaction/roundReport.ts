/** What a round of compaction has done, and what it tells of that. */
import { formatArchiveName } from '../../../proto/archiveNames.ts'
import type { WalcastError } from '../../errors.ts'
import type { FailedLooks } from '../datedPieces.ts'
import type { StoredFile } from '../restorePlan.ts'
import type { RestorableSpan } from '../retention/restorableSpans.ts'
import type { Retention } from '../retention/retain.ts'

/** What people and logs are told of a round. */
export interface CompactionReport {
  /** Names of the files made. */
  readonly merged: readonly string[]
  readonly thinned: readonly string[]
  readonly snapshot: string | undefined
  /** One is due, and cannot be made of files that nothing here can read. */
  readonly isSnapshotDue: boolean
  readonly removed: readonly string[]
  readonly removedBytes: number
  /** What is left. */
  readonly files: number
  readonly bytes: number
  readonly restorable: readonly RestorableSpan[]
  /** Why nothing is removed for its age. */
  readonly refused: string | undefined
  /** Bytes above the bound of the policy that cannot go. */
  readonly overBytes: number
  /** Files that are noted as broken, and without which nothing later restores yet. */
  readonly noted: readonly WalcastError[]
  /** What is left for a later round, or cannot be done. Nothing was removed for it. */
  readonly problems: readonly WalcastError[]
}

/** What one round has done so far. */
export class Round {
  readonly signal: AbortSignal
  readonly merged: string[] = []
  readonly thinned: string[] = []
  readonly problems: WalcastError[] = []
  readonly failedLooks: FailedLooks = new Map()
  snapshot: string | undefined
  isSnapshotDue = false

  constructor(signal: AbortSignal) {
    this.signal = signal
  }
}

export function reportOf(
  { merged, thinned, snapshot, isSnapshotDue, problems }: Round,
  { kept, restorable, refused, overBytes }: Retention,
  removed: readonly StoredFile[],
  noted: readonly WalcastError[],
): CompactionReport {
  const files = kept.flatMap((piece) => piece.files)
  return {
    ...{ merged, thinned, snapshot, isSnapshotDue, restorable, refused, overBytes },
    ...{ noted, problems },
    removed: removed.map(({ name }) => formatArchiveName(name)),
    removedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
    files: files.length,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}
