/**
 * Replaces the content of a database in WAL mode by that of a file, as one transaction, while
 * others have it open. SQLite's online backup writes it
 * (https://sqlite.org/c3ref/backup_finish.html): it holds the write lock of the database from its
 * first step to its commit, writes every page, and gives the schema a version of its own, so that
 * other connections read it anew. Readers keep the old state until the commit. A process that dies
 * before it leaves the old state.
 */
import Database from 'better-sqlite3'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { existsSync } from '../platform/files.ts'
import { delay, monotonicMs } from '../platform/time.ts'

/** Of one step: about a millisecond. */
const PAGES_AT_ONCE = 256
/** A writer at full speed leaves the lock for moments only, and none waits in line for it. */
const RETRY_MS = 1
/** Between two looks whether the preparation is done. The thread sleeps. */
const PAUSE_MS = 2
const NEVER = new Int32Array(new SharedArrayBuffer(4))

export interface TransferSteps<T> {
  /**
   * Runs while no other connection can write, and before anything is written. What it throws ends
   * the transfer.
   */
  prepare(): Promise<T>
  onPages?(done: number, total: number): void
}

/**
 * Gives what `prepare` gave. `lockMs`: how long it tries to get the write lock. Throws
 * SQLITE_BUSY, SQLITE_FAILED, DB_REPLACED and what `prepare` throws; `into` is unchanged then.
 */
export async function transferContent<T>(
  from: string,
  into: string,
  lockMs: number,
  steps: TransferSteps<T>,
): Promise<T> {
  const source = new Database(from, { fileMustExist: true })
  try {
    const untilMs = monotonicMs() + lockMs
    requireThere(into)
    requireEncoding(source, into)
    for (;;) {
      const done = await new Transfer(steps).run(source, into)
      if (done) return done.prepared
      if (monotonicMs() >= untilMs)
        throw new WalcastError('SQLITE_BUSY', { detail: 'another connection kept the write lock' })
      await delay(RETRY_MS)
    }
  } finally {
    source.close()
  }
}

class Transfer<T> {
  readonly #steps: TransferSteps<T>
  #preparing: Promise<void> | undefined
  #done: { readonly prepared: T } | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(steps: TransferSteps<T>) {
    this.#steps = steps
  }

  /**
   * Undefined: another connection has the write lock. The library calls that the end of a backup,
   * since a step that is busy knows of no pages yet.
   */
  async run(
    source: Database.Database,
    into: string,
  ): Promise<{ readonly prepared: T } | undefined> {
    requireThere(into)
    try {
      await source.backup(into, { progress: (at) => this.#next(at) })
      return this.#done
    } catch (error) {
      throw this.#failure ? this.#failure.error : failed(error)
    } finally {
      await this.#preparing
    }
  }

  /** How many pages the next step copies. The first step has the lock, and has copied none. */
  #next({ totalPages, remainingPages }: Database.BackupMetadata): number {
    this.#preparing ??= this.#prepare()
    if (this.#failure) throw this.#failure.error
    if (!this.#done) {
      Atomics.wait(NEVER, 0, 0, PAUSE_MS)
      return 0
    }
    this.#steps.onPages?.(totalPages - remainingPages, totalPages)
    return PAGES_AT_ONCE
  }

  async #prepare(): Promise<void> {
    try {
      this.#done = { prepared: await this.#steps.prepare() }
    } catch (error) {
      this.#failure = { error }
    }
  }
}

/** Where nothing is, SQLite would make a database. Throws DB_REPLACED. */
function requireThere(path: string): void {
  if (!existsSync(path)) throw new WalcastError('DB_REPLACED', { path })
}

/**
 * The encoding of texts is fixed once a connection has read the schema: those of the application
 * could not read the database any more. Throws SQLITE_FAILED.
 */
function requireEncoding(source: Database.Database, into: string): void {
  const old = new Database(into, { fileMustExist: true })
  try {
    const [is, was] = [source, old].map((db) => db.pragma('encoding', { simple: true }))
    if (is === was) return
    const detail = `its texts are ${was}, and those of the restored database ${is}`
    throw new WalcastError('SQLITE_FAILED', { sql: 'backup', detail })
  } finally {
    old.close()
  }
}

function failed(error: unknown): unknown {
  const code = systemCode(error)
  if (!code.startsWith('SQLITE_')) return error
  const detail = `${code} ${messageOf(error)}`
  return new WalcastError('SQLITE_FAILED', { sql: 'backup', detail }, error)
}
