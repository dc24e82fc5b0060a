/** What a leader knows of its database while it captures. */

import { WalcastError } from '../errors.ts'
import { readCounters, type ScannedDatabase } from '../sqlite/databaseScan.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import { readWalHeader, WalReader } from '../sqlite/walReader.ts'

export type LedDatabase = Pick<ScannedDatabase, 'walIndex' | 'reader' | 'sums' | 'frames' | 'counters'>

/** Of a database that this process has followed until now: its WAL is read on from the published end. Throws WAL_INDEX_UNREADABLE. */
export function ledFrom({ files, walIndex, sums, frames }: HeldDatabase, segmentBytes: number): LedDatabase {
  // Under the write lock nothing else writes the header: one look finds it whole.
  const published = walIndex.read()
  if (!published) throw new WalcastError('WAL_INDEX_UNREADABLE', { path: files.path })
  const reader = new WalReader(files.walFd, files.pageSize, segmentBytes)
  const header = readWalHeader(files.walFd)
  const { mxFrame: frame, frameChecksum: checksum } = published
  if (header && frame > 0) reader.resume({ header, frame, checksum: { ...checksum } })
  return { walIndex, reader, sums, frames, counters: readCounters(files, frames) }
}
