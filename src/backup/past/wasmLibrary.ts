/**
 * What is used of SQLite compiled to WebAssembly (https://sqlite.org/wasm): its C interface, where
 * a pointer is a number, and structs whose fields are named `$field`.
 */
import initSqlite from '@sqlite.org/sqlite-wasm'

export interface Struct {
  readonly pointer: number
  dispose(): void
}

export interface IoMethods extends Struct {
  $iVersion: number
}

export interface Vfs extends Struct {
  $iVersion: number
  $szOsFile: number
  $mxPathname: number
  $xRandomness: number
  $xSleep: number
  $xCurrentTime: number
  $xCurrentTimeInt64: number
}

export interface FileStruct extends Struct {
  $pMethods: number
}

export type Methods = Readonly<Record<string, (...args: never[]) => number>>

export interface Capi {
  readonly sqlite3_io_methods: new () => IoMethods
  readonly sqlite3_vfs: new (pointer?: number) => Vfs
  readonly sqlite3_file: (new (
    pointer: number,
  ) => FileStruct) & {
    readonly structInfo: { readonly sizeof: number }
  }
  sqlite3_vfs_find(name: null): number
  sqlite3_open_v2(name: string, into: number, flags: number, vfs: string): number
  sqlite3_prepare_v3(
    db: number,
    sql: number,
    bytes: number,
    flags: number,
    into: number,
    tail: number,
  ): number
  sqlite3_step(statement: number): number
  sqlite3_finalize(statement: number): number
  sqlite3_errmsg(db: number): string
  sqlite3_limit(db: number, which: number, value: number): number
  /** https://sqlite.org/c3ref/set_authorizer.html: an absent text is 0. */
  sqlite3_set_authorizer(
    db: number,
    judge: (about: number, action: number, first: string | 0, second: string | 0) => number,
    about: number,
  ): number
  sqlite3_stmt_readonly(statement: number): number
  sqlite3_column_count(statement: number): number
  sqlite3_column_name(statement: number, column: number): string
  sqlite3_column_type(statement: number, column: number): number
  sqlite3_column_int64(statement: number, column: number): bigint
  sqlite3_column_double(statement: number, column: number): number
  sqlite3_column_blob(statement: number, column: number): number
  sqlite3_column_bytes(statement: number, column: number): number
  readonly SQLITE_OK: number
  readonly SQLITE_DENY: number
  readonly SQLITE_LIMIT_LENGTH: number
  readonly SQLITE_SELECT: number
  readonly SQLITE_READ: number
  readonly SQLITE_FUNCTION: number
  readonly SQLITE_RECURSIVE: number
  readonly SQLITE_PRAGMA: number
  readonly SQLITE_ROW: number
  readonly SQLITE_DONE: number
  readonly SQLITE_CANTOPEN: number
  readonly SQLITE_IOERR_READ: number
  readonly SQLITE_NOTFOUND: number
  readonly SQLITE_READONLY: number
  readonly SQLITE_IOCAP_IMMUTABLE: number
  readonly SQLITE_OPEN_MAIN_DB: number
  readonly SQLITE_OPEN_READONLY: number
  readonly SQLITE_INTEGER: number
  readonly SQLITE_FLOAT: number
  readonly SQLITE_TEXT: number
  readonly SQLITE_BLOB: number
}

export interface Wasm {
  heap8u(): Uint8Array
  alloc(bytes: number): number
  allocCString(text: string): number
  dealloc(pointer: number): void
  cstrToJs(pointer: number): string
  cstrncpy(into: number, from: number, bytes: number): number
  peekPtr(pointer: number): number
  poke(pointer: number, value: number | bigint, type: 'i32' | 'i64'): void
}

export interface WasmLibrary {
  readonly capi: Capi
  readonly wasm: Wasm
  readonly vfs: {
    installVfs(parts: {
      readonly io: { readonly struct: IoMethods; readonly methods: Methods }
      readonly vfs: { readonly struct: Vfs; readonly name: string; readonly methods: Methods }
    }): void
  }
}

/** The types of the package know neither the fields of structs nor 64-bit numbers. */
export async function loadLibrary(): Promise<WasmLibrary> {
  return (await initSqlite()) as unknown as WasmLibrary
}
