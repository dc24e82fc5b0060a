/** A database that only reads, on pages that come from elsewhere. */
import type { RawValue } from '../../rowdiff/rowValues.ts'
import { FILE_NAME, installPageVfs, type PageFile, VFS_NAME } from './pageVfs.ts'
import type { WasmLibrary } from './wasmLibrary.ts'

const POINTER_BYTES = 4
/** What SQLite says of what an authorizer denies. */
const REFUSED = 'not authorized'

export class PastDatabase {
  readonly #library: WasmLibrary
  readonly #db: number

  private constructor(library: WasmLibrary, db: number) {
    this.#library = library
    this.#db = db
  }

  /** Throws an Error with SQLite's text, as all methods do. */
  static open(library: WasmLibrary, file: PageFile): PastDatabase {
    installPageVfs(library, file)
    const { capi, wasm } = library
    const into = wasm.alloc(POINTER_BYTES)
    const code = capi.sqlite3_open_v2(FILE_NAME, into, capi.SQLITE_OPEN_READONLY, VFS_NAME)
    const database = new PastDatabase(library, wasm.peekPtr(into))
    wasm.dealloc(into)
    if (code !== capi.SQLITE_OK) throw database.#error()
    return database
  }

  /** Sets a PRAGMA of the connection. */
  set(pragma: string, value: string | number): void {
    for (const _ of this.query(`PRAGMA ${pragma} = ${value}`).rows());
  }

  /** Of one value that a query makes or reads, in bytes. */
  limitValues(bytes: number): void {
    const { capi } = this.#library
    capi.sqlite3_limit(this.#db, capi.SQLITE_LIMIT_LENGTH, bytes)
  }

  /** Asks `isAllowed` of each action of the statements that are prepared from now on. */
  authorize(isAllowed: (action: number, first: string, second: string) => boolean): void {
    const { capi } = this.#library
    const judge = (_: number, action: number, first: string | 0, second: string | 0) =>
      isAllowed(action, first || '', second || '') ? capi.SQLITE_OK : capi.SQLITE_DENY
    capi.sqlite3_set_authorizer(this.#db, judge, 0)
  }

  /** The rows of a statement. Refuses one that writes, and more than one. */
  query(sql: string): PastStatement {
    const { capi, wasm } = this.#library
    const text = wasm.allocCString(sql)
    const into = wasm.alloc(2 * POINTER_BYTES)
    const tail = into + POINTER_BYTES
    try {
      const statement = this.#prepare(text, into, tail)
      if (statement === 0) throw new Error('it is empty')
      if (this.#prepare(wasm.peekPtr(tail), into, tail) !== 0)
        throw new Error('give one statement only')
      if (capi.sqlite3_stmt_readonly(statement) === 0)
        throw new Error('the past is read-only: give a SELECT')
      return new PastStatement(this.#library, statement, () => this.#error())
    } finally {
      wasm.dealloc(into)
      wasm.dealloc(text)
    }
  }

  #prepare(sql: number, into: number, tail: number): number {
    const { capi, wasm } = this.#library
    if (capi.sqlite3_prepare_v3(this.#db, sql, -1, 0, into, tail) !== capi.SQLITE_OK)
      throw this.#error()
    return wasm.peekPtr(into)
  }

  #error(): Error {
    const text = this.#library.capi.sqlite3_errmsg(this.#db)
    return new Error(text === REFUSED ? `${text}: the past is only read, by a SELECT` : text)
  }
}

export class PastStatement {
  readonly #library: WasmLibrary
  readonly #statement: number
  readonly #error: () => Error
  readonly columns: readonly string[]

  constructor(library: WasmLibrary, statement: number, error: () => Error) {
    this.#library = library
    this.#statement = statement
    this.#error = error
    const { capi } = library
    this.columns = Array.from({ length: capi.sqlite3_column_count(statement) }, (_, i) =>
      capi.sqlite3_column_name(statement, i),
    )
  }

  *rows(): Generator<RawValue[], void, void> {
    const { capi } = this.#library
    for (;;) {
      const code = capi.sqlite3_step(this.#statement)
      if (code === capi.SQLITE_DONE) return
      if (code !== capi.SQLITE_ROW) throw this.#error()
      yield this.columns.map((_, i) => this.#value(i))
    }
  }

  #value(column: number): RawValue {
    const { capi } = this.#library
    switch (capi.sqlite3_column_type(this.#statement, column)) {
      case capi.SQLITE_INTEGER:
        return BigInt(capi.sqlite3_column_int64(this.#statement, column))
      case capi.SQLITE_FLOAT:
        return capi.sqlite3_column_double(this.#statement, column)
      case capi.SQLITE_TEXT:
        return this.#bytes(column)
      case capi.SQLITE_BLOB:
        return this.#bytes(column).toString('hex')
      default:
        return null
    }
  }

  #bytes(column: number): Buffer {
    const { capi, wasm } = this.#library
    const at = capi.sqlite3_column_blob(this.#statement, column)
    const length = capi.sqlite3_column_bytes(this.#statement, column)
    return Buffer.from(wasm.heap8u().slice(at, at + length))
  }
}
