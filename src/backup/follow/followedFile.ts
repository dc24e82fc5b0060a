/**
 * A database file that an archive keeps current: a replica's copy that no leader feeds. Readers of
 * any program see one committed state after another. What is written to it is checksummed frames
 * of its WAL, which count once the state checksum has been compared: a kill at any moment leaves
 * the state before or the one after.
 *
 * Beside it `FILE-followed` has its positions (sqlite/positionLog.ts). They are claims: the state
 * checksum of the file tells which one holds.
 */
import type { Logger } from 'pino'
import type { Standing } from '../../../proto/lineage.ts'
import { keyOf, WalcastError } from '../../errors.ts'
import { systemClock } from '../../platform/clock.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { existsSync } from '../../platform/files.ts'
import { monotonicMs } from '../../platform/time.ts'
import { Copy } from '../../replica/copy/copy.ts'
import { CopyAccess } from '../../replica/copy/copyAccess.ts'
import { requireSafeHost } from '../../sqlite/databaseFiles.ts'
import { NO_COUNTERS } from '../../sqlite/databaseHeader.ts'
import { fileMode } from '../../sqlite/fileModes.ts'
import { pageSum } from '../../sqlite/pageSums.ts'
import { PositionLog } from '../../sqlite/positionLog.ts'
import { SqliteThread } from '../../sqlite/sqliteThread.ts'
import { lockPage } from '../../sqlite/walFormat.ts'
import type { PageImage } from '../archiveFileWriter.ts'
import type { Restored } from '../restore.ts'
import { WriteGate } from './writeGate.ts'

/** Pages that wait in memory before they go to the WAL. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024
/** At this size of the WAL a checkpoint begins. */
const WAL_BYTES = 4 * 1024 * 1024
/** Between two looks at whether the WAL is to be emptied. */
const IDLE_MS = 1000
/** How long another writer may keep the write lock at the start. */
const LOCK_MS = 5000
const MOVED = {
  detail: 'it was moved, removed or replaced by another file',
  cure: 'give the same command again',
}
const NO_FRAME = { salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0, ...NO_COUNTERS }

/** A whole state. */
export interface FollowedPoint extends Standing {
  /** State checksum, 16 hex digits. */
  readonly checksum: string
  readonly pages: number
}

export class FollowedFile {
  readonly path: string
  readonly #thread: SqliteThread
  readonly #positions: PositionLog
  readonly #copy: Copy
  readonly #gate: WriteGate
  readonly #watch: Watch
  readonly #waiting = new Map<number, Buffer>()
  #putPages = 0
  #idleAtMs = 0

  private constructor(
    path: string,
    thread: SqliteThread,
    positions: PositionLog,
    copy: Copy,
    watch: Watch,
  ) {
    this.path = path
    this.#thread = thread
    this.#positions = positions
    this.#copy = copy
    this.#gate = watch.gate
    this.#watch = watch
  }

  /** Whether an archive has been followed into this file. */
  static isAt(path: string): boolean {
    return existsSync(path) && existsSync(recordOf(path))
  }

  /**
   * Before a restored file gets its name: the position that it has. Throws DISK_FULL or
   * WRITE_FAILED.
   */
  static record(path: string, restored: Restored, ops: FileOps): void {
    const { epoch, incarnation, txid, pages } = restored
    const checksum = BigInt(`0x${restored.checksum}`)
    const positions = new PositionLog(recordOf(path), ops)
    positions.append({ epoch, incarnation, txid, checksum, pages, ...NO_FRAME })
    positions.close(true)
  }

  /**
   * Takes SQLite's write lock, and keeps it until `close`. Throws SQLITE_BUSY while another program
   * writes, and what opening a damaged database throws.
   */
  static async open(path: string, ops: FileOps, log: Logger): Promise<FollowedFile> {
    const thread = new SqliteThread()
    const positions = new PositionLog(recordOf(path), ops)
    const watch: Watch = { gate: new WriteGate(), failure: undefined, isForeign: false }
    const access = { path, copyMode: fileMode(path), leaderMode: () => undefined, log }
    const options = {
      ...{ path, thread, ops, positions, log },
      ...{ clock: systemClock, walBytes: WAL_BYTES, lockTimeoutMs: LOCK_MS },
      access: new CopyAccess(access),
    }
    try {
      await requireSafeHost(thread)
      const copy = await Copy.open(options, hostOf(watch), positions.known)
      watch.isForeign = !copy.isAsRecorded
      // A step that was cut is read again from its beginning.
      if (copy.applier.isOpen) copy.applier.discard()
      await copy.checkpoints.admitReaders()
      return new FollowedFile(path, thread, positions, copy, watch)
    } catch (error) {
      positions.close(false)
      await thread.stop(['version'])
      throw error
    }
  }

  /** Where its content stands. */
  get at(): Standing {
    return this.#copy.applier.position
  }

  get checksum(): string {
    return this.#copy.applier.checksum
  }

  get pageSize(): number {
    return this.#copy.pageSize
  }

  /** Whether another program has written to it. */
  get isForeign(): boolean {
    return this.#watch.isForeign
  }

  /** Throws what made the file unusable, and FOLLOWED_CHANGED when it was moved or removed. */
  requireUsable(): void {
    if (this.#watch.failure) throw this.#watch.failure
    if (!this.#copy.isThere)
      throw new WalcastError('FOLLOWED_CHANGED', { path: this.path, ...MOVED })
  }

  /** Takes a page of the state that comes next. Invisible until `commit`. */
  async put({ number, bytes }: PageImage): Promise<void> {
    if (number === lockPage(this.pageSize)) return
    const isThere = this.#copy.applier.sums.get(number) === pageSum(number, bytes)
    if (isThere) this.#waiting.delete(number)
    else this.#waiting.set(number, Buffer.from(bytes))
    if (this.#waiting.size * this.pageSize >= MAX_WAITING_BYTES) await this.#flush()
  }

  /**
   * Makes what was put visible at once, as the state `to`. Gives how many pages were written.
   * Throws ARCHIVE_MISMATCH when they are not that state: then nothing has changed.
   */
  async commit(to: FollowedPoint): Promise<number> {
    for (const number of this.#waiting.keys()) if (number > to.pages) this.#waiting.delete(number)
    while (this.#gate.isClosed) await this.#gate.opened()
    const { count, payload } = this.#take()
    const { epoch, incarnation, txid, checksum, pages: dbPages } = to
    const { pageSize } = this
    try {
      this.#copy.applier.finishSync(
        { db: 'main', epoch, incarnation, txid, checksum, pageSize, pages: count, dbPages },
        payload,
      )
    } catch (error) {
      this.#putPages = 0
      if (keyOf(error) !== 'STATE_MISMATCH') throw error
      const detail = error instanceof Error ? error.message : ''
      throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail }, error)
    }
    const written = this.#putPages
    this.#putPages = 0
    this.#watch.isForeign = false
    this.#copy.checkpoints.onApplied()
    return written
  }

  /** Forgets what was put since the last commit. */
  async discard(): Promise<void> {
    this.#waiting.clear()
    this.#putPages = 0
    while (this.#gate.isClosed) await this.#gate.opened()
    if (this.#copy.applier.isOpen) this.#copy.applier.discard()
  }

  /** Called at each look. Each try to empty the WAL lets go of the lock for a moment. */
  onIdle(): void {
    if (monotonicMs() - this.#idleAtMs < IDLE_MS) return
    this.#idleAtMs = monotonicMs()
    this.#copy.checkpoints.onIdle()
  }

  async close(): Promise<void> {
    await this.discard()
    const isSynced = await this.#copy.close()
    this.#positions.close(isSynced && !this.isForeign)
    await this.#thread.stop(['version'])
  }

  async #flush(): Promise<void> {
    while (this.#gate.isClosed) await this.#gate.opened()
    const { count, payload } = this.#take()
    const { pageSize } = this
    const { epoch } = this.at
    const most = { pass: 1, remaining: 0, dbPages: 1 }
    this.#copy.applier.addPages({ db: 'main', epoch, pageSize, pages: count, ...most }, payload)
  }

  /** What waits, as a message of a resync has it. */
  #take(): { readonly count: number; readonly payload: Buffer } {
    const count = this.#waiting.size
    const numbers = Buffer.alloc(4 * count)
    let i = 0
    for (const number of this.#waiting.keys()) numbers.writeUInt32LE(number, 4 * i++)
    const payload = Buffer.concat([numbers, ...this.#waiting.values()])
    this.#waiting.clear()
    this.#putPages += count
    return { count, payload }
  }
}

/** What the copy tells of. */
interface Watch {
  readonly gate: WriteGate
  failure: WalcastError | undefined
  isForeign: boolean
}

function hostOf(watch: Watch) {
  return {
    hold: () => watch.gate.hold(),
    onCheckpoint() {},
    onDurable() {},
    onStray(_error: WalcastError, isSameContent: boolean) {
      if (!isSameContent) watch.isForeign = true
    },
    onFatal(error: WalcastError) {
      watch.failure ??= error
    },
  }
}

function recordOf(path: string): string {
  return `${path}-followed`
}
