/**
 * A WAL that was cut short while a program had the database open: the wal-index still publishes the
 * frames that are gone, and SQLite fails where it needs one of them. They get the images that the
 * database file has, so that SQLite can read and backfill again. That does not settle what the
 * content is: it is for a copy, which is then compared with its leader.
 */
import { openError } from '../errors.ts'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  readSync,
  writeSync,
} from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { type PinnedFile, pinFile } from './pinnedFiles.ts'
import {
  FRAME_HEADER_BYTES,
  frameBytes,
  frameOffset,
  isPageSize,
  WAL_HEADER_BYTES,
} from './walFormat.ts'
import {
  frameBeforeBlock,
  INDEX_BLOCK_BYTES,
  indexBlockOf,
  pageNumbersOffset,
} from './walIndexFormat.ts'
import { WalIndexReader } from './walIndexReader.ts'

/**
 * Gives how many frames were made again: 0 when none is missing. Nothing else may write to the
 * database. Throws STRANGE_FILE for a link, or DB_UNREADABLE.
 */
export function refillCutWal(path: string): number {
  if (![path, `${path}-wal`, `${path}-shm`].every((file) => existsSync(file))) return 0
  const shm = pinFile(`${path}-shm`)
  const walIndex = new WalIndexReader(shm.fd)
  const header = walIndex.read()
  if (!header || !isPageSize(header.pageSize)) return 0
  const { mxFrame, pageSize } = header
  const walFd = openWal(`${path}-wal`)
  try {
    const whole = Math.floor((fstatSync(walFd).size - WAL_HEADER_BYTES) / frameBytes(pageSize))
    const first = Math.max(0, whole) + 1
    // A WAL that was emptied just now was not cut.
    const now = walIndex.read()
    if (!now || now.mxFrame !== mxFrame || now.salt1 !== header.salt1) return 0
    const bytes = Buffer.alloc(frameBytes(pageSize))
    for (let frame = first; frame <= mxFrame; frame++) {
      readImage(pinFile(path), pageOf(frame, shm), bytes.subarray(FRAME_HEADER_BYTES))
      writeAll(walFd, bytes, frameOffset(frame, pageSize))
    }
    return Math.max(0, mxFrame - first + 1)
  } finally {
    closeSync(walFd)
  }
}

function openWal(path: string): number {
  try {
    return openPlain(path, constants.O_RDWR)
  } catch (error) {
    throw openError(path, error)
  }
}

/** The page of a frame, as the wal-index tells it; 0 when it does not. */
function pageOf(frame: number, shm: PinnedFile): number {
  const block = indexBlockOf(frame)
  const index = frame - frameBeforeBlock(block) - 1
  const bytes = Buffer.alloc(4)
  readSync(shm.fd, bytes, 0, 4, block * INDEX_BLOCK_BYTES + pageNumbersOffset(block) + 4 * index)
  return bytes.readUInt32LE(0)
}

/** Zeros past the end of the file. */
function readImage(database: PinnedFile, page: number, image: Buffer): void {
  const got =
    page > 0 ? readSync(database.fd, image, 0, image.length, (page - 1) * image.length) : 0
  image.fill(0, got)
}

function writeAll(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done)
}
