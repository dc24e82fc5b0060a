/**
 * What a copy owes to readers that may read its files and not write them: a read mark while the
 * node runs, and a `-wal` and a `-shm` while it does not. Readers that may write let SQLite make
 * these; for the others the node must.
 */
import { delay } from '../../platform/time.ts'
import {
  checkpoint,
  checkpointCounts,
  isBusy,
  openReadOnly,
  rows,
  type SqliteThread,
} from '../../sqlite/sqliteThread.ts'
import type { WalIndexReader } from '../../sqlite/walIndexReader.ts'

/** The connection that the node closes last. */
export const LAST_CONNECTION = 'last'

const TRUNCATE = checkpoint('checkpoint', 'TRUNCATE')
/** A reader blocks the emptying of the WAL until its transaction ends. */
const EMPTY_ATTEMPTS = 100
const EMPTY_RETRY_MS = 10

/**
 * Sets a read mark once there are frames that are not backfilled, as any reader that may write
 * does.
 *
 * A wal-index made for an empty WAL has no read mark. SQLite's own writer sets one before it
 * appends, because it is a reader first; our writer is no reader. TRUNCATE sets one
 * (walRestartHdr), and so does every later reset.
 */
const SET_READ_MARK = rows('checkpoint', 'PRAGMA user_version')

/**
 * Whether readers that may not write find a read mark, or one is being set. A read mark, once set,
 * stays.
 */
export class ReadMark {
  readonly #thread: SqliteThread
  readonly #walIndex: WalIndexReader
  #isThere = false

  constructor(thread: SqliteThread, walIndex: WalIndexReader) {
    this.#thread = thread
    this.#walIndex = walIndex
  }

  get isThere(): boolean {
    return this.#isThere
  }

  /** Looks for a read mark, in a WAL of `mxFrame` frames. */
  look(mxFrame: number): boolean {
    this.#isThere = this.#walIndex.hasReadMark(mxFrame)
    return this.#isThere
  }

  /** The WAL has frames now, so a reader that may write sets a mark. */
  async set(mxFrame: number): Promise<void> {
    this.#isThere = true
    await this.#thread.attempt(SET_READ_MARK).catch(() => {})
    this.look(mxFrame)
  }
}

/**
 * Empties the WAL and opens LAST_CONNECTION, before the node closes its other connections. That
 * connection cannot write, so SQLite leaves `-wal` and `-shm` in place when it closes. A reader
 * that may not create them can then open the copy while no node runs.
 */
export async function leaveToReaders(thread: SqliteThread, path: string): Promise<void> {
  // With frames in the WAL the last close must do its usual work: the file alone must hold
  // everything.
  if (await empty(thread)) await keepWal(thread, path)
}

/** Opens LAST_CONNECTION, which may not write, so that SQLite leaves the WAL as it is. */
export async function keepWal(thread: SqliteThread, path: string): Promise<void> {
  await thread.attempt(
    openReadOnly(LAST_CONNECTION, path),
    rows(LAST_CONNECTION, 'PRAGMA user_version'),
  )
}

/**
 * Returns whether the WAL became empty. Readers that begin after the whole backfill do not block
 * it.
 */
async function empty(thread: SqliteThread): Promise<boolean> {
  for (let attempt = 0; attempt < EMPTY_ATTEMPTS; attempt++) {
    const [result] = await thread.attempt(TRUNCATE)
    const { busy, walFrames } = checkpointCounts(result)
    if (!busy && walFrames === 0) return true
    if (!result.ok && !isBusy(result)) return false
    await delay(EMPTY_RETRY_MS)
  }
  return false
}
