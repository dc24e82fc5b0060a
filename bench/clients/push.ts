/**
 * The replica of a push: an ordinary SQLite file that is replaced as a whole, so that a reader
 * opens it anew for each one.
 */
import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import type { Client, ReadClient } from './client.ts'
import { openForReading, sqlite } from './sqlite.ts'

export const push: Client = {
  openWriter() {
    throw new Error('the writer of a push is an ordinary SQLite connection')
  },
  openReader: (path) => new PushedReader(path),
  digest: sqlite.digest,
}

class PushedReader implements ReadClient {
  readonly #path: string
  /** The open file; empty when none is. */
  #file = ''
  #db: Database.Database | undefined
  #select: Database.Statement | undefined

  constructor(path: string) {
    this.#path = path
  }

  maxId(): number {
    const file = fileAt(this.#path)
    if (file !== this.#file) this.#reopen(file)
    return Number(this.#select?.pluck().get() ?? 0)
  }

  close(): void {
    this.#db?.close()
  }

  /**
   * `file` was looked up before opening: if another has replaced it since, the next look opens that
   * one.
   */
  #reopen(file: string): void {
    this.close()
    this.#db = openForReading(this.#path)
    this.#select = this.#db.prepare('SELECT max(id) FROM t')
    this.#file = file
  }
}

/**
 * Tells apart files that replace each other under one name; empty when there is none. Never opens
 * the file, since closing a descriptor would drop the locks of this process. An inode number alone
 * may be reused.
 */
function fileAt(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.ino}:${found.mtimeNs}` : ''
}
