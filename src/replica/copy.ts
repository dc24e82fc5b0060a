/** A replica's copy while it is open: its files, the write lock, the applier and the checkpoints. */
import { closeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { NOWHERE, type Standing } from '../../proto/lineage.ts'
import type { Clock } from '../clock.ts'
import { asWalcastError, keyOf, WalcastError } from '../errors.ts'
import { type FileOps, syncFolderAside } from '../fileOps.ts'
import { adoptDatabase, type DatabaseFiles } from '../sqlite/databaseFiles.ts'
import { type ScannedDatabase, scanDatabase } from '../sqlite/databaseScan.ts'
import { type HeldDatabase, WRITE_LOCK_CONNECTION } from '../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import { isStillThere } from '../sqlite/pinnedFiles.ts'
import type { PositionLog, PositionRecord } from '../sqlite/positionLog.ts'
import type { RottenPage } from '../sqlite/scrubPass.ts'
import { checkpoint, checkpointCounts, close, open, type SqliteThread, sync } from '../sqlite/sqliteThread.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import type { WalIndexReader } from '../sqlite/walIndexReader.ts'
import { WalWriter } from '../sqlite/walWriter.ts'
import { Applier } from './applier.ts'
import type { CopyAccess } from './copyAccess.ts'
import { CopyLock } from './copyLock.ts'
import { LAST_CONNECTION, leaveToReaders, SET_READ_MARK } from './copyReaders.ts'
import { Durability } from './durability.ts'

export interface CopyOptions {
  readonly path: string
  readonly thread: SqliteThread
  readonly ops: FileOps
  readonly clock: Clock
  readonly log: Logger
  readonly positions: PositionLog
  /** WAL bytes that start a checkpoint. */
  readonly walBytes: number
  readonly access: CopyAccess
  readonly lockTimeoutMs: number
}

export interface CopyHost {
  /** Holds back messages until the function it gives is called. Messages that write to the copy are handled in one go, so none is half done then. */
  hold(): () => void
  onCheckpoint(checkpoint: { readonly complete: boolean; readonly pauseMs: number }): void
  /** The copy was synced because somebody waits for that. */
  onDurable(syncMs: number): void
  /** Something else wrote, or the lock could not be kept: the copy was looked at again; `same` when its content is what it was. */
  onStray(error: WalcastError, same: boolean): void
  onFatal(error: WalcastError): void
}

/** Quiet rounds between two attempts to empty a WAL that a reader has kept from being emptied: each costs a gap in the lock. */
const IDLE_ROUNDS = 10
/** Backfills beside the apply before the one that pauses it, while more than FEW_FRAMES are left. */
const ROUNDS = 3
const FEW_FRAMES = 256
const SEGMENT_BYTES = 1024 * 1024
const PASSIVE = checkpoint('checkpoint', 'PASSIVE')
const TRUNCATE = checkpoint('checkpoint', 'TRUNCATE')

export class Copy {
  readonly #options: CopyOptions
  readonly #host: CopyHost
  readonly #files: DatabaseFiles
  readonly #lock: CopyLock
  readonly #walIndex: WalIndexReader
  /** Whether it was found as it was left: its content is that of the newest position recorded. */
  readonly isAsRecorded: boolean
  readonly durability: Durability
  /** Whether the names of its files are durable; they stay as long as the copy is open. */
  #isNamed = false
  #writer: WalWriter
  #applier: Applier
  #checkpointing: Promise<void> | undefined
  #framesAfterCheckpoint = 0
  #idleRounds = 0
  /** Whether readers that may not write find a read mark, or one is being set. Once there is one there always is. */
  #hasReadMark = false
  /** Works under way that no checkpoint may disturb. */
  #undisturbed = 0
  #stopped = false

  private constructor(
    options: CopyOptions,
    host: CopyHost,
    files: DatabaseFiles,
    lock: CopyLock,
    scanned: CopyState,
    found: Settled,
  ) {
    this.#options = options
    this.#host = host
    this.#files = files
    this.#lock = lock
    this.#walIndex = scanned.walIndex
    this.#writer = new WalWriter(
      files,
      options.ops,
      scanned.header,
      scanned.walIndex.rawHeader,
      scanned.frames,
    )
    this.#applier = new Applier(this.#writer, scanned.sums, options.positions, files.pageSize, found.position)
    this.isAsRecorded = found.isRecorded
    const own = { position: () => this.#applier.position, sync: () => this.#sync() }
    this.durability = new Durability(own, files)
  }

  /** Opens the copy, takes its write lock and settles where it stands: the stored positions are claims, the state checksum decides. */
  static async open(
    options: CopyOptions,
    host: CopyHost,
    recorded: readonly PositionRecord[],
  ): Promise<Copy> {
    const { thread, path, access } = options
    try {
      access.apply()
      const files = await adoptDatabase(thread, path, (mode) =>
        options.log.warn({ path, from: mode }, 'the copy had left WAL mode; switched back'),
      )
      access.apply()
      await thread.run(open('checkpoint', path, 0))
      const lock = new CopyLock(thread)
      await lock.take(path, options.lockTimeoutMs)
      const scanned = await scanCopy(files, lock)
      const copy = new Copy(options, host, files, lock, scanned, settle(scanned.sums, recorded))
      await copy.#applier.takeUp()
      await copy.#admitReaders()
      return copy
    } catch (error) {
      await thread.attempt(close(WRITE_LOCK_CONNECTION), close('checkpoint'), close('keeper'))
      throw error
    }
  }

  /** Goes on with a database that this process has led until now, or gave up leading. Throws WAL_INDEX_UNREADABLE. */
  static async takeOver(options: CopyOptions, host: CopyHost, held: HeldDatabase): Promise<Copy> {
    const { thread, path } = options
    const { files, walIndex, sums, frames, position } = held
    // Under the lock nothing else writes the header: one look finds it whole.
    const header = walIndex.read()
    if (!header) throw new WalcastError('WAL_INDEX_UNREADABLE', { path })
    await thread.run(open('checkpoint', path, 0))
    const state = { walIndex, header, sums, frames }
    // What something else wrote before leadership was refused, for example, is nowhere recorded.
    const { isRecorded } = settle(sums, held.positions.known)
    const lock = new CopyLock(thread, true)
    const copy = new Copy(options, host, files, lock, state, { position, isRecorded })
    await copy.#admitReaders()
    return copy
  }

  /** Gives it to the engine of another role, with the write lock, after `holdLock`. Nothing may be applied any more. Throws SQLITE_BUSY when the lock was lost. */
  async handOver(): Promise<HeldDatabase> {
    this.#stopped = true
    await this.#checkpointing
    this.#lock.requireHeld()
    this.#applier.discard()
    await this.#options.thread.run(close('checkpoint'))
    // The next owner closes the descriptors, and must know what became of a sync of them.
    await this.durability.settled()
    const { sums, position } = this.#applier
    const { positions } = this.#options
    return {
      files: this.#files,
      walIndex: this.#walIndex,
      sums,
      frames: this.#writer.frames,
      positions,
      position,
    }
  }

  get applier(): Applier {
    return this.#applier
  }

  get pageSize(): number {
    return this.#files.pageSize
  }

  get walBytes(): number {
    return this.#writer.mxFrame * frameBytes(this.#files.pageSize)
  }

  /** Where page images are read from. */
  get pages(): CheckedPages {
    return { files: this.#files, sums: this.#applier.sums, frames: this.#writer.frames }
  }

  get isThere(): boolean {
    return isStillThere(this.#files.database)
  }

  /** To be called after each batch that became visible. */
  onApplied(): void {
    const { mxFrame } = this.#writer
    if (!this.#hasReadMark) void this.#setReadMark()
    if (mxFrame < this.#framesAfterCheckpoint) this.#framesAfterCheckpoint = 0
    if ((mxFrame - this.#framesAfterCheckpoint) * frameBytes(this.#files.pageSize) >= this.#options.walBytes)
      this.#startCheckpoint()
  }

  /** To be called when nothing came for a while. */
  onIdle(): void {
    const { mxFrame } = this.#writer
    if (mxFrame === 0) return
    if (mxFrame !== this.#framesAfterCheckpoint || ++this.#idleRounds % IDLE_ROUNDS === 0)
      this.#startCheckpoint()
  }

  /** Runs `work` while no checkpoint of ours lets go of the lock or moves pages. Throws STOPPING when the copy is being closed. */
  async undisturbed<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped) throw new WalcastError('STOPPING')
    this.#undisturbed++
    try {
      await this.#checkpointing
      return await work()
    } finally {
      this.#undisturbed--
    }
  }

  /** No checkpoint lets go of the lock any more. Throws FENCE_FAILED when another writer keeps it for longer than `timeoutMs`, and all goes on as before. */
  async holdLock(timeoutMs: number): Promise<void> {
    this.#undisturbed++
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false)
    })
    const isHeld = await Promise.race([Promise.resolve(this.#checkpointing).then(() => true), late])
    clearTimeout(timer)
    if (isHeld) return
    this.#undisturbed--
    throw new WalcastError('FENCE_FAILED', { timeoutMs: Math.round(timeoutMs) })
  }

  async close(): Promise<void> {
    this.#stopped = true
    this.#lock.giveUp()
    await this.#checkpointing
    const isWithinResync = this.#applier.isOpen
    this.#applier.discard()
    await this.#lock.release()
    const { thread, path } = this.#options
    if (!isWithinResync) await leaveToReaders(thread, path)
    await thread.attempt(close('checkpoint'), close('keeper'), close(LAST_CONNECTION))
    await this.durability.settled()
    closeSync(this.#files.walFd)
  }

  /** The WAL with what is visible, the file, and the record of the position, by which the next start knows the content. */
  async #sync(): Promise<void> {
    const { ops, path, positions, clock } = this.#options
    if (this.#stopped) throw new WalcastError('STOPPING')
    const startMs = clock.nowMs()
    const { walFd, database } = this.#files
    await ops.syncAside('copy.sync', [walFd, database.fd, positions.fd], path)
    if (!this.#isNamed) await Promise.all([dirname(path), dirname(positions.path)].map(syncFolderAside))
    this.#isNamed = true
    this.#host.onDurable(clock.nowMs() - startMs)
  }

  #startCheckpoint(): void {
    if (this.#checkpointing || this.#stopped || this.#undisturbed > 0) return
    this.#checkpointing = this.#checkpoint()
      .catch((error) => this.#onCheckpointFailed(error))
      .finally(() => {
        this.#checkpointing = undefined
      })
  }

  #onCheckpointFailed(error: unknown): void {
    if (this.#stopped) return
    this.#host.onFatal(asWalcastError(error))
  }

  /**
   * First the lock moves to the WAL's end, so that PASSIVE may backfill up to there while batches go on being
   * applied. Then, for the little that is left, apply pauses, the lock is let go, and TRUNCATE empties the WAL, unless
   * a reader lingers: then that is for another time.
   */
  async #checkpoint(): Promise<void> {
    const { clock, thread } = this.#options
    const { walFd, database } = this.#files
    let backfilled = 0
    for (let round = 0; round < ROUNDS; round++) {
      if (!(await this.#gap([]))) return
      const [passive, synced] = await thread.attempt(PASSIVE, sync(walFd, database.fd))
      if (synced && !synced.ok) this.durability.onSyncFailed(new Error(synced.detail))
      backfilled = checkpointCounts(passive).backfilled
      if (backfilled <= 0 || this.#writer.mxFrame - backfilled <= FEW_FRAMES) break
    }
    const startMs = clock.nowMs()
    const complete =
      backfilled > 0 && (await this.#gap([TRUNCATE])) !== undefined && this.#writer.mxFrame === 0
    this.#framesAfterCheckpoint = this.#writer.mxFrame
    this.#host.onCheckpoint({ complete, pauseMs: clock.nowMs() - startMs })
  }

  /** Has SQLite set a read mark where there is none (see copyReaders.ts), unless frames that TRUNCATE would take with it wait to become visible. */
  async #admitReaders(): Promise<void> {
    this.#lookForReadMark()
    if (this.#hasReadMark) return
    await this.#gap([TRUNCATE])
    this.#lookForReadMark()
  }

  /** Where TRUNCATE could not: there are frames now, so a reader that may write sets a mark. */
  async #setReadMark(): Promise<void> {
    this.#hasReadMark = true
    await this.#options.thread.attempt(SET_READ_MARK).catch(() => {})
    this.#lookForReadMark()
  }

  #lookForReadMark(): void {
    this.#hasReadMark = this.#walIndex.hasReadMark(this.#writer.mxFrame)
  }

  /** Moves the lock, with `middle` in the gap, and checks what happened in it. Undefined when a transaction is under way, or somebody waits for the end of the checkpoint. */
  async #gap(middle: Parameters<CopyLock['move']>[0]) {
    const release = this.#host.hold()
    try {
      if (this.#applier.isOpen || this.#stopped || this.#undisturbed > 0) return undefined
      const results = await this.#lock.move(middle)
      await this.#checkGap()
      return results
    } finally {
      release()
    }
  }

  /** Compares the wal-index header with the one written last (see CopyLock). */
  async #checkGap(): Promise<void> {
    const header = this.#walIndex.read()
    if (header && this.#walIndex.rawHeader.equals(this.#writer.rawHeader)) return
    if (header && header.change === this.#writer.header.change && header.mxFrame === 0) {
      return this.#writer.takeOver(header, this.#walIndex.rawHeader)
    }
    await this.#reexamine()
  }

  /** Something else may have written to the copy. */
  async #reexamine(): Promise<void> {
    const before = this.#applier.sums.state
    await this.reread()
    const same = this.#applier.sums.state === before
    const detail = same ? 'its content is unchanged' : 'its content differs'
    this.#host.onStray(new WalcastError('STRAY_WRITE', { path: this.#options.path, detail }), same)
  }

  /** Takes it that the copy holds what the disk has of rotten pages, so that a comparison with the leader brings the right images. False while more is under way. */
  admit(rotten: readonly RottenPage[]): boolean {
    const { sums, isOpen } = this.#applier
    if (isOpen || this.#stopped) return false
    for (const { page, found } of rotten) if (page <= sums.pages) sums.set(page, found)
    sums.settle()
    return true
  }

  /** Reads the whole copy again. What was not visible yet is forgotten. */
  async reread(): Promise<void> {
    const { path, positions } = this.#options
    this.#applier.discard()
    const scanned = await scanCopy(this.#files, this.#lock)
    const header = scanned.walIndex.read()
    if (!header) throw new WalcastError('WAL_INDEX_UNREADABLE', { path })
    this.#writer = new WalWriter(
      this.#files,
      this.#options.ops,
      header,
      scanned.walIndex.rawHeader,
      scanned.frames,
    )
    this.#applier = new Applier(
      this.#writer,
      scanned.sums,
      positions,
      this.#files.pageSize,
      this.#applier.position,
    )
  }
}

/**
 * What the copy holds. Published frames that do not verify can only be a stray writer's: they are moved into the file,
 * as readers see them, and the comparison of pages does the rest. Throws WAL_BROKEN while a reader keeps them where they are.
 */
async function scanCopy(files: DatabaseFiles, lock: CopyLock): Promise<ScannedDatabase> {
  try {
    return await scanDatabase(files, SEGMENT_BYTES)
  } catch (error) {
    if (keyOf(error) !== 'WAL_BROKEN') throw error
    await lock.move([TRUNCATE])
    return scanDatabase(files, SEGMENT_BYTES)
  }
}

/** What is known of the copy's pages and WAL. */
type CopyState = Pick<ScannedDatabase, 'walIndex' | 'header' | 'sums' | 'frames'>

interface Settled {
  readonly position: Standing
  readonly isRecorded: boolean
}

/** The newest recorded position that the content has; the newest record's, with the checksum telling that it is not so, when none has. */
function settle(sums: PageSums, recorded: readonly PositionRecord[]): Settled {
  const found = recorded.findLast((record) => record.checksum === sums.state && record.pages === sums.pages)
  const { epoch, incarnation, txid } = found ?? recorded.at(-1) ?? NOWHERE
  return { position: { epoch, incarnation, txid }, isRecorded: found !== undefined }
}
