/**
 * Looks at a wal-index (`-shm`) as it is, right or wrong:
 * https://sqlite.org/walformat.html#the_wal_index_file_format. For a person who wants to see; a
 * node has `WalIndexReader`. It takes no lock and changes nothing.
 */
import { readSync } from '../platform/files.ts'
import { alignedBuffer } from './walFormat.ts'
import {
  INDEX_HEADER_BYTES,
  INDEX_PREFIX_BYTES,
  parseIndexHeader,
  type WalIndexHeader,
} from './walIndexFormat.ts'

export interface WalIndexView {
  /** The two copies; undefined for one whose checksum is wrong, or that was never written. */
  readonly copies: readonly [WalIndexHeader | undefined, WalIndexHeader | undefined]
  readonly areCopiesEqual: boolean
  /** Frames whose images the database file holds. */
  readonly backfilled: number
  /** Frames that a checkpoint was about to write into it. */
  readonly backfillAttempted: number
  /** aReadMark[0..4]: up to which frame readers on that lock read; undefined when not in use. */
  readonly readMarks: readonly (number | undefined)[]
}

/** A writer needs well under a microsecond between the two copies. */
const ATTEMPTS = 20
const BACKFILL_OFFSET = 96
const READ_MARKS_OFFSET = 100
const READ_MARKS = 5
const BACKFILL_ATTEMPTED_OFFSET = 128
const UNUSED_MARK = 0xffffffff

/** Undefined when the file is shorter than its fixed part. */
export function viewWalIndex(shmFd: number): WalIndexView | undefined {
  const bytes = alignedBuffer(INDEX_PREFIX_BYTES)
  const [first, second] = [0, INDEX_HEADER_BYTES].map((at) =>
    bytes.subarray(at, at + INDEX_HEADER_BYTES),
  )
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (readSync(shmFd, bytes, 0, bytes.length, 0) < bytes.length) return undefined
    if (first.equals(second)) break
  }
  return {
    copies: [parseIndexHeader(first), parseIndexHeader(second)],
    areCopiesEqual: first.equals(second),
    backfilled: bytes.readUInt32LE(BACKFILL_OFFSET),
    backfillAttempted: bytes.readUInt32LE(BACKFILL_ATTEMPTED_OFFSET),
    readMarks: Array.from({ length: READ_MARKS }, (_, slot) => {
      const mark = bytes.readUInt32LE(READ_MARKS_OFFSET + 4 * slot)
      return mark === UNUSED_MARK ? undefined : mark
    }),
  }
}
