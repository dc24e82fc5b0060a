/**
 * The files of a database in WAL mode, opened to be looked at: the database itself, its `-wal` and
 * its `-shm`, of which one names the others. Only for a process without a connection of SQLite:
 * closing them drops the locks that the process has on them.
 */
import { openError, WalcastError } from '../errors.ts'
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { resolveDatabase } from './databaseFiles.ts'
import { INDEX_BLOCK_BYTES } from './walIndexFormat.ts'

export interface LookedAt {
  readonly path: string
  readonly fd: number
  readonly bytes: number
  readonly dev: bigint
  readonly ino: bigint
}

/** Those that are there. */
export interface WalFiles {
  readonly database: LookedAt | undefined
  readonly wal: LookedAt | undefined
  readonly shm: LookedAt | undefined
}

export type WalFileKind = keyof WalFiles

const DATABASE_MAGIC = 'SQLite format 3\0'
const WAL_MAGICS = [0x377f0682, 0x377f0683]
const INDEX_VERSION = 3007000
const SUFFIXES = { wal: '-wal', shm: '-shm' } as const

/**
 * What `path` names, and what lies beside it. A WAL or wal-index under a name of its own stands
 * alone. Throws DB_MISSING, DB_UNREADABLE, STRANGE_FILE or WAL_FOREIGN.
 */
export function openWalFiles(path: string): WalFiles {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new WalcastError('DB_MISSING', missing(path))
  if (!found.isFile()) throw foreign(path, 'it is no plain file')
  const named = Object.values(SUFFIXES).find((suffix) => path.endsWith(suffix))
  if (named) return openFamily(path.slice(0, -named.length))
  const file = openLook(path, 'database')
  if (!file) throw new WalcastError('DB_MISSING', missing(path))
  const kind = kindOf(file)
  if (kind === 'database') {
    closeSync(file.fd)
    return openFamily(path)
  }
  return { database: undefined, wal: undefined, shm: undefined, [kind]: file }
}

export function closeWalFiles(files: WalFiles): void {
  for (const file of [files.database, files.wal, files.shm]) if (file) closeSync(file.fd)
}

function openFamily(path: string): WalFiles {
  const database = resolveDatabase(path)
  return {
    database: openLook(database, 'database'),
    wal: openLook(`${database}${SUFFIXES.wal}`, 'wal'),
    shm: openLook(`${database}${SUFFIXES.shm}`, 'shm'),
  }
}

/** Undefined when there is none. A database may be a link; the files beside it may not. */
function openLook(path: string, kind: WalFileKind): LookedAt | undefined {
  const there = statSync(path, { throwIfNoEntry: false })
  if (!there) return undefined
  if (!there.isFile()) throw foreign(path, 'it is no plain file')
  try {
    const fd =
      kind === 'database' ? openSync(path, constants.O_RDONLY) : openPlain(path, constants.O_RDONLY)
    const { size, dev, ino } = fstatSync(fd, { bigint: true })
    return { path, fd, bytes: Number(size), dev, ino }
  } catch (error) {
    throw openError(path, error)
  }
}

function kindOf({ path, fd, bytes }: LookedAt): WalFileKind {
  const head = Buffer.alloc(DATABASE_MAGIC.length)
  const got = readSync(fd, head, 0, head.length, 0)
  if (got < head.length) throw foreign(path, `it has ${bytes} bytes`)
  if (head.toString('latin1') === DATABASE_MAGIC) return 'database'
  if (WAL_MAGICS.includes(head.readUInt32BE(0))) return 'wal'
  if (head.readUInt32LE(0) === INDEX_VERSION && bytes % INDEX_BLOCK_BYTES === 0) return 'shm'
  throw foreign(path, 'it begins with other bytes')
}

function missing(path: string): { readonly message: string; readonly cure: string } {
  return { message: `there is no file ${path}`, cure: 'check the path' }
}

function foreign(path: string, detail: string): WalcastError {
  return new WalcastError('WAL_FOREIGN', { path, detail })
}
