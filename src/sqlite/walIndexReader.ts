import { readSync } from '../platform/files.ts'
import { alignedBuffer } from './walFormat.ts'
import {
  frameBeforeBlock,
  INDEX_BLOCK_BYTES,
  INDEX_HEADER_BYTES,
  indexBlockOf,
  pageNumbersOffset,
  parseIndexHeader,
  type WalIndexHeader,
} from './walIndexFormat.ts'

/**
 * A header whose copies differ is read again so often: a writer needs well under a microsecond
 * between the two.
 */
const ATTEMPTS = 20
const BACKFILL_OFFSET = 96
const BACKFILL_ATTEMPTED_OFFSET = 128
/** Offset of aReadMark[1]; 2, 3 and 4 follow. */
const READ_MARKS_OFFSET = 104
const READ_MARKS = 4

/**
 * Reads the published state of a WAL from its `-shm` through a pinned descriptor. It takes no lock
 * and cannot trigger a recovery. The file is mapped by SQLite; on Linux read(2) and a shared
 * mapping see the same bytes.
 */
export class WalIndexReader {
  readonly #fd: number
  readonly #bytes = alignedBuffer(2 * INDEX_HEADER_BYTES)
  readonly #first = this.#bytes.subarray(0, INDEX_HEADER_BYTES)
  readonly #second = this.#bytes.subarray(INDEX_HEADER_BYTES)

  constructor(shmFd: number) {
    this.#fd = shmFd
  }

  /**
   * The published header: both copies equal and their checksum right. Undefined while a writer or a
   * recovery is between the two.
   */
  read(): WalIndexHeader | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const got = readSync(this.#fd, this.#bytes, 0, this.#bytes.length, 0)
      if (got < this.#bytes.length || this.#first.compare(this.#second) !== 0) continue
      const header = parseIndexHeader(this.#first)
      if (header) return header
    }
    return undefined
  }

  /**
   * Whether no frame of this generation was backfilled, or is about to be: nBackfill and
   * nBackfillAttempted are 0 (https://sqlite.org/walformat.html#the_wal_index_file_format, bytes 96
   * and 128).
   */
  isUntouchedByCheckpoints(): boolean {
    const bytes = Buffer.alloc(4)
    for (const offset of [BACKFILL_OFFSET, BACKFILL_ATTEMPTED_OFFSET]) {
      if (readSync(this.#fd, bytes, 0, 4, offset) < 4 || bytes.readUInt32LE(0) !== 0) return false
    }
    return true
  }

  /**
   * Frames of this generation whose images the database file holds: nBackfill. 0 when it cannot be
   * read.
   */
  backfilledFrames(): number {
    const bytes = Buffer.alloc(4)
    return readSync(this.#fd, bytes, 0, 4, BACKFILL_OFFSET) < 4 ? 0 : bytes.readUInt32LE(0)
  }

  /**
   * Which page each of `count` frames from `first` on holds, as readers find them; fewer when the
   * file ends before.
   */
  pageNumbers(first: number, count: number): Uint32Array {
    const numbers = new Uint32Array(count)
    const bytes = Buffer.from(numbers.buffer)
    let done = 0
    while (done < count) {
      const frame = first + done
      const block = indexBlockOf(frame)
      const inBlock = Math.min(count - done, frameBeforeBlock(block + 1) - frame + 1)
      const at =
        block * INDEX_BLOCK_BYTES +
        pageNumbersOffset(block) +
        4 * (frame - frameBeforeBlock(block) - 1)
      const got = readSync(this.#fd, bytes, 4 * done, 4 * inBlock, at)
      if (got < 4 * inBlock) break
      done += inBlock
    }
    return numbers.subarray(0, done)
  }

  /**
   * Frame up to which readers on READ_LOCK(`slot`), 1 to 4, read: aReadMark[slot]. 0 when it cannot
   * be read.
   */
  readMark(slot: number): number {
    const bytes = Buffer.alloc(4)
    return readSync(this.#fd, bytes, 0, 4, READ_MARKS_OFFSET + 4 * (slot - 1)) < 4
      ? 0
      : bytes.readUInt32LE(0)
  }

  /**
   * Whether one of aReadMark[1..4] is at a frame up to `mxFrame`. A reader that may not write
   * `-shm` sets none itself and gets SQLITE_READONLY_CANTINIT without one, once there are frames to
   * read (https://sqlite.org/src/file/src/wal.c, walTryBeginRead). Those that are not used hold a
   * number above all frames.
   */
  hasReadMark(mxFrame: number): boolean {
    const marks = Buffer.alloc(4 * READ_MARKS)
    if (readSync(this.#fd, marks, 0, marks.length, READ_MARKS_OFFSET) < marks.length) return false
    return [0, 1, 2, 3].some((i) => marks.readUInt32LE(4 * i) <= mxFrame)
  }

  /** The 48 bytes that the last successful `read` parsed; valid until the next one. */
  get rawHeader(): Buffer {
    return this.#first
  }
}
