/**
 * A file system for SQLite with one file, which is only read, and whose pages come from elsewhere.
 * better-sqlite3 has no way to read a database that is not a file.
 */
import type { Methods, WasmLibrary } from './wasmLibrary.ts'

/** The database that is read. */
export interface PageFile {
  readonly pageSize: number
  readonly pages: number
  /** Images of pages that follow each other, from `page` (1 is the first) on. Throws. */
  read(page: number): Uint8Array
}

export const VFS_NAME = 'walcast-past'
export const FILE_NAME = 'past.db'
/** https://sqlite.org/fileformat2.html#file_format_version_numbers: 2 wants a WAL beside it. */
const VERSIONS_AT = 18
const ROLLBACK_JOURNAL = 1
const MAX_PATH = 64

/** What `file.read` throws ends a statement as an I/O error. */
export function installPageVfs(library: WasmLibrary, file: PageFile): void {
  const { capi, vfs: installer } = library
  const io = new capi.sqlite3_io_methods()
  io.$iVersion = 1
  const vfs = new capi.sqlite3_vfs()
  vfs.$iVersion = 1
  vfs.$szOsFile = capi.sqlite3_file.structInfo.sizeof
  vfs.$mxPathname = MAX_PATH
  const system = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null))
  vfs.$xRandomness = system.$xRandomness
  vfs.$xSleep = system.$xSleep
  vfs.$xCurrentTime = system.$xCurrentTime
  vfs.$xCurrentTimeInt64 = system.$xCurrentTimeInt64
  installer.installVfs({
    io: { struct: io, methods: fileMethods(library, file) },
    vfs: { struct: vfs, name: VFS_NAME, methods: systemMethods(library, io.pointer) },
  })
}

/** https://sqlite.org/c3ref/io_methods.html */
function fileMethods({ capi, wasm }: WasmLibrary, file: PageFile): Methods {
  const refuse = () => capi.SQLITE_READONLY
  return {
    xClose: () => capi.SQLITE_OK,
    xRead: (_file: number, into: number, bytes: number, at: bigint) => {
      try {
        copy(file, Number(at), wasm.heap8u().subarray(into, into + bytes))
        return capi.SQLITE_OK
      } catch {
        return capi.SQLITE_IOERR_READ
      }
    },
    xWrite: refuse,
    xTruncate: refuse,
    xSync: () => capi.SQLITE_OK,
    xFileSize: (_file: number, into: number) => {
      wasm.poke(into, BigInt(file.pages) * BigInt(file.pageSize), 'i64')
      return capi.SQLITE_OK
    },
    xLock: () => capi.SQLITE_OK,
    xUnlock: () => capi.SQLITE_OK,
    xCheckReservedLock: (_file: number, into: number) => {
      wasm.poke(into, 0, 'i32')
      return capi.SQLITE_OK
    },
    xFileControl: () => capi.SQLITE_NOTFOUND,
    xSectorSize: () => file.pageSize,
    // Nobody changes it: SQLite takes no locks and looks for no journal.
    xDeviceCharacteristics: () => capi.SQLITE_IOCAP_IMMUTABLE,
  }
}

/** https://sqlite.org/c3ref/vfs.html */
function systemMethods({ capi, wasm }: WasmLibrary, ioMethods: number): Methods {
  return {
    xOpen: (_vfs: number, name: number, into: number, flags: number, outFlags: number) => {
      const isFile = (flags & capi.SQLITE_OPEN_MAIN_DB) !== 0 && name !== 0
      if (!isFile || wasm.cstrToJs(name) !== FILE_NAME) return capi.SQLITE_CANTOPEN
      const opened = new capi.sqlite3_file(into)
      opened.$pMethods = ioMethods
      opened.dispose()
      if (outFlags !== 0) wasm.poke(outFlags, capi.SQLITE_OPEN_READONLY, 'i32')
      return capi.SQLITE_OK
    },
    xDelete: () => capi.SQLITE_READONLY,
    xAccess: (_vfs: number, _name: number, _flags: number, into: number) => {
      wasm.poke(into, 0, 'i32')
      return capi.SQLITE_OK
    },
    xFullPathname: (_vfs: number, name: number, bytes: number, into: number) =>
      wasm.cstrncpy(into, name, bytes) < bytes ? capi.SQLITE_OK : capi.SQLITE_CANTOPEN,
    xGetLastError: () => 0,
  }
}

/** The bytes of the database from `at` on. A database in WAL mode is shown as one that is not. */
function copy(file: PageFile, at: number, into: Uint8Array): void {
  const { pageSize } = file
  for (let done = 0; done < into.length; ) {
    const from = (at + done) % pageSize
    const images = file.read(Math.floor((at + done) / pageSize) + 1)
    const part = images.subarray(from, from + into.length - done)
    if (part.length === 0) throw new RangeError('no image')
    into.set(part, done)
    done += part.length
  }
  for (const version of [VERSIONS_AT, VERSIONS_AT + 1])
    if (version >= at && version < at + into.length) into[version - at] = ROLLBACK_JOURNAL
}
