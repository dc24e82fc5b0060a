/** What a copy holds when it is opened or read again, and at which position it stands. */
import { NOWHERE, type Standing } from '../../../proto/lineage.ts'
import { keyOf } from '../../errors.ts'
import type { DatabaseFiles } from '../../sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanDatabase } from '../../sqlite/databaseScan.ts'
import type { PageSums } from '../../sqlite/pageSums.ts'
import type { PositionRecord } from '../../sqlite/positionLog.ts'
import { checkpoint } from '../../sqlite/sqliteThread.ts'
import type { CopyLock } from './copyLock.ts'

const SEGMENT_BYTES = 1024 * 1024
const TRUNCATE = checkpoint('checkpoint', 'TRUNCATE')

/**
 * Scans the copy. Published frames that do not verify can only come from a stray writer. A
 * checkpoint moves them into the file, as readers see them, and the comparison of pages does the
 * rest. Throws WAL_BROKEN while a reader blocks that checkpoint.
 */
export async function scanCopy(files: DatabaseFiles, lock: CopyLock): Promise<ScannedDatabase> {
  try {
    return await scanDatabase(files, SEGMENT_BYTES)
  } catch (error) {
    if (keyOf(error) !== 'WAL_BROKEN') throw error
    await lock.move([TRUNCATE])
    return scanDatabase(files, SEGMENT_BYTES)
  }
}

/** The part of a scan that an open copy keeps. */
export type CopyState = Pick<ScannedDatabase, 'walIndex' | 'header' | 'sums' | 'frames'>

export interface Settled {
  readonly position: Standing
  /** Whether a record has this very content. */
  readonly isRecorded: boolean
}

/**
 * Returns the newest recorded position whose checksum the content has. If no record fits, it is the
 * newest record's, and the checksum shows that the content is another.
 */
export function settle(sums: PageSums, recorded: readonly PositionRecord[]): Settled {
  const found = recorded.findLast(
    (record) => record.checksum === sums.state && record.pages === sums.pages,
  )
  const { epoch, incarnation, txid } = found ?? recorded.at(-1) ?? NOWHERE
  return { position: { epoch, incarnation, txid }, isRecorded: found !== undefined }
}
