/**
 * What a copy owes to readers that may read its files and write none of them: a read mark while the
 * node runs, and a `-wal` and a `-shm` while it does not. SQLite makes both for readers that may
 * write; for the others somebody else must.
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

/** The connection that is to be closed last. */
export const LAST_CONNECTION = 'last'

const TRUNCATE = checkpoint('checkpoint', 'TRUNCATE')
/** Readers stand in the way of one that empties the WAL until their transactions end. */
const EMPTY_ATTEMPTS = 100
const EMPTY_RETRY_MS = 10

/**
 * Sets a read mark once there are frames that are not backfilled: a reader that may write does that
 * by itself.
 *
 * A wal-index that was made for an empty WAL has none. SQLite's own writer would set one before it
 * appends, ours is no reader. TRUNCATE sets one there (walRestartHdr), and so does every later
 * reset.
 */
const SET_READ_MARK = rows('checkpoint', 'PRAGMA user_version')

/**
 * Whether readers that may not write find a read mark, or one is being set. Once there is one there
 * always is.
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

  /** Looks for one, in a WAL of so many frames. */
  look(mxFrame: number): boolean {
    this.#isThere = this.#walIndex.hasReadMark(mxFrame)
    return this.#isThere
  }

  /** There are frames now, so a reader that may write sets a mark. */
  async set(mxFrame: number): Promise<void> {
    this.#isThere = true
    await this.#thread.attempt(SET_READ_MARK).catch(() => {})
    this.look(mxFrame)
  }
}

/**
 * Before the node closes its connections: empties the WAL and opens one that is to be closed last.
 * It cannot write, so SQLite lets `-wal` and `-shm` lie, and a reader that may not create them can
 * open the copy while no node runs.
 */
export async function leaveToReaders(thread: SqliteThread, path: string): Promise<void> {
  // With frames in the WAL the last close must do what it always does: the file alone is to hold
  // everything.
  if (await empty(thread)) await keepWal(thread, path)
}

/**
 * Opens the connection that is to be closed last: it may not write, so SQLite lets the WAL stay as
 * it is.
 */
export async function keepWal(thread: SqliteThread, path: string): Promise<void> {
  await thread.attempt(
    openReadOnly(LAST_CONNECTION, path),
    rows(LAST_CONNECTION, 'PRAGMA user_version'),
  )
}

/**
 * Whether the WAL is empty in the end: readers that begin once all is backfilled do not hold it up.
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
