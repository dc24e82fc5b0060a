/**
 * Makes an unfit file in the place of the copy one that SQLite opens: an empty file, or a copy that
 * was damaged while its node was down. The file is changed in place and never replaced, so that a
 * program that has it open sees what follows. A comparison with the leader brings the content.
 */
import { WalcastError } from '../errors.ts'
import { ftruncateSync, readSync, writeSync } from '../platform/files.ts'
import { databaseBytes, headerPageSize, inspectDatabase } from '../sqlite/databaseFiles.ts'
import { type PinnedFile, pinFile } from '../sqlite/pinnedFiles.ts'
import { close, exec, open, rows, type SqliteThread } from '../sqlite/sqliteThread.ts'
import { isPageSize } from '../sqlite/walFormat.ts'

const HEADER_BYTES = 100
/** Offsets in the header: https://sqlite.org/fileformat2.html#the_database_header. */
const PAGE_SIZE_AT = 16
const VERSIONS_AT = 18
const FRACTIONS_AT = 21
const CHANGE_COUNTER_AT = 24
const PAGES_AT = 28
const SCHEMA_FORMAT_AT = 44
const ENCODING_AT = 56
const VALID_FOR_AT = 92
/** The header of an empty leaf: https://sqlite.org/fileformat2.html#b_tree_pages. */
const LEAF_BYTES = 8
const LEAF_TABLE = 13
const CONTENT_AT = 5
const CELLS_AT = HEADER_BYTES + 3

/**
 * Makes an empty file a database without content, in WAL mode. SQLite does it, so that programs
 * that have the file open notice. Throws SQLITE_BUSY or DB_WAL_REFUSED when one of them is writing,
 * or has filled it.
 */
export async function makeBlank(
  thread: SqliteThread,
  path: string,
  pageSize: number,
): Promise<void> {
  try {
    await thread.run(
      open('keeper', path, 2000),
      exec('keeper', `PRAGMA page_size = ${pageSize}`),
      rows('keeper', 'PRAGMA journal_mode = WAL'),
    )
  } finally {
    await thread.attempt(close('keeper'))
  }
  const found = headerPageSize(inspectDatabase(path))
  if (found !== pageSize)
    throw new WalcastError('DB_WAL_REFUSED', { path, detail: `its page size is ${found}` })
}

/** Whether a database consists of one page with an empty schema. */
export function isBlank(firstPage: Buffer, pages: number): boolean {
  return pages === 1 && firstPage.readUInt16BE(CELLS_AT) === 0
}

/**
 * Gives a damaged copy a header that SQLite reads, and at least the size that the header tells.
 * `pageSize` counts when its own header is not sound. `mostPages` is the largest size that the copy
 * ever had. No connection of this process may have the file open.
 */
export function mend(path: string, pageSize: number, mostPages: number): void {
  const file = pinFile(path)
  const header = Buffer.alloc(HEADER_BYTES)
  readSync(file.fd, header, 0, HEADER_BYTES, 0)
  const own = soundPageSize(header)
  const pages = header.readUInt32BE(PAGES_AT)
  const bytes = databaseBytes(file)
  if (own !== undefined && pages <= mostPages)
    return ftruncateSync(file.fd, Math.max(bytes, pages * own))
  const size = own ?? pageSize
  writeHeader(file, size)
  ftruncateSync(file.fd, Math.max(bytes, size))
}

/**
 * Empties the schema of a damaged copy with a sound header: SQLite reads the schema when it opens a
 * database.
 */
export function clearSchema(path: string): void {
  const file = pinFile(path)
  const leaf = Buffer.alloc(LEAF_BYTES)
  leaf[0] = LEAF_TABLE
  leaf.writeUInt16BE(headerPageSize(file) & 0xffff, CONTENT_AT)
  writeAll(file, leaf, HEADER_BYTES)
}

/** Undefined unless SQLite accepts the header, and it is that of a database in WAL mode. */
function soundPageSize(header: Buffer): number | undefined {
  const size = header.readUInt16BE(PAGE_SIZE_AT)
  const pageSize = size === 1 ? 65536 : size
  const isSound =
    header.toString('latin1', 0, PAGE_SIZE_AT) === 'SQLite format 3\0' &&
    isPageSize(pageSize) &&
    header.readUInt16BE(VERSIONS_AT) === 0x0202 &&
    header.readUIntBE(FRACTIONS_AT, 3) === 0x402020 &&
    pageSize - header[VERSIONS_AT + 2] >= 480
  return isSound ? pageSize : undefined
}

function writeHeader(file: PinnedFile, pageSize: number): void {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write('SQLite format 3\0', 0, 'latin1')
  header.writeUInt16BE(pageSize === 65536 ? 1 : pageSize, PAGE_SIZE_AT)
  header.writeUInt16BE(0x0202, VERSIONS_AT)
  header.writeUIntBE(0x402020, FRACTIONS_AT, 3)
  header.writeUInt32BE(1, CHANGE_COUNTER_AT)
  header.writeUInt32BE(Math.max(1, Math.ceil(databaseBytes(file) / pageSize)), PAGES_AT)
  header.writeUInt32BE(4, SCHEMA_FORMAT_AT)
  header.writeUInt32BE(1, ENCODING_AT)
  header.writeUInt32BE(1, VALID_FOR_AT)
  writeAll(file, header, 0)
}

function writeAll(file: PinnedFile, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file.fd, bytes, done, bytes.length - done, at + done)
}
