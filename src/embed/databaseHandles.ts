/**
 * The handles of better-sqlite3 with which an application in this process uses the database. They
 * are `query_only` while the node does not lead, so that a stray write fails at once. A handle that
 * the application opened stays the application's: it is never closed here.
 */
import Database from 'better-sqlite3'
import { WalcastError } from '../errors.ts'

export class DatabaseHandles {
  readonly #path: string
  readonly #isLeading: () => boolean
  readonly #known = new Set<Database.Database>()
  /** Those of them that close with the node. */
  readonly #opened = new Set<Database.Database>()

  constructor(path: string, isLeading: () => boolean) {
    this.#path = path
    this.#isLeading = isLeading
  }

  open(options: Database.Options): Database.Database {
    const handle = new Database(this.#path, { fileMustExist: true, ...options })
    this.#opened.add(handle)
    this.adopt(handle)
    return handle
  }

  /** Throws FOREIGN_HANDLE. */
  adopt(handle: object): void {
    if (!(handle instanceof Database)) throw new WalcastError('FOREIGN_HANDLE')
    for (const known of this.#known) if (!known.open) this.#forget(known)
    this.#known.add(handle)
    this.#restrict(handle)
  }

  /** The role has changed. */
  restrict(): void {
    for (const handle of this.#known) this.#restrict(handle)
  }

  closeOpened(): void {
    for (const handle of this.#opened) handle.close()
    this.#opened.clear()
  }

  #restrict(handle: Database.Database): void {
    if (handle.open) handle.pragma(`query_only = ${this.#isLeading() ? 0 : 1}`)
    else this.#forget(handle)
  }

  #forget(handle: Database.Database): void {
    this.#known.delete(handle)
    this.#opened.delete(handle)
  }
}
