/** What a copy holds when it is opened or read again, and where that leaves it. */
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
 * What the copy holds. Published frames that do not verify can only be a stray writer's: they are
 * moved into the file, as readers see them, and the comparison of pages does the rest. Throws
 * WAL_BROKEN while a reader keeps them where they are.
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

/** What is known of the copy's pages and WAL. */
export type CopyState = Pick<ScannedDatabase, 'walIndex' | 'header' | 'sums' | 'frames'>

export interface Settled {
  readonly position: Standing
  readonly isRecorded: boolean
}

/**
 * The newest recorded position that the content has; the newest record's, with the checksum telling
 * that it is not so, when none has.
 */
export function settle(sums: PageSums, recorded: readonly PositionRecord[]): Settled {
  const found = recorded.findLast(
    (record) => record.checksum === sums.state && record.pages === sums.pages,
  )
  const { epoch, incarnation, txid } = found ?? recorded.at(-1) ?? NOWHERE
  return { position: { epoch, incarnation, txid }, isRecorded: found !== undefined }
}
