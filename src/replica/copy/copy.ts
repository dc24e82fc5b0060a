/**
 * A replica's copy while it is open: its files, the write lock, the applier and the checkpoints.
 */
import { dirname } from 'node:path'
import { asWalcastError, messageOf, WalcastError } from '../../errors.ts'
import { syncFolderAside } from '../../platform/fileOps.ts'
import { closeSync, existsSync, openSync } from '../../platform/files.ts'
import { requirePlainLog } from '../../platform/plainFiles.ts'
import { cancelTimer, delay, setTimer, type Timer } from '../../platform/time.ts'
import { refillCutWal } from '../../sqlite/cutWal.ts'
import { adoptDatabase, type DatabaseFiles, walFileBytes } from '../../sqlite/databaseFiles.ts'
import { type HeldDatabase, WRITE_LOCK_CONNECTION } from '../../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../../sqlite/pageCheck.ts'
import { PageReader } from '../../sqlite/pageReader.ts'
import { isStillThere } from '../../sqlite/pinnedFiles.ts'
import type { PositionRecord } from '../../sqlite/positionLog.ts'
import type { RottenPage } from '../../sqlite/scrub/scrubPass.ts'
import { checkpoint, checkpointCounts, close, open, sync } from '../../sqlite/sqliteThread.ts'
import { vacuumInto } from '../../sqlite/vacuumInto.ts'
import { frameBytes } from '../../sqlite/walFormat.ts'
import type { WalIndexReader } from '../../sqlite/walIndexReader.ts'
import { WalWriter } from '../../sqlite/walWriter.ts'
import { refuseWrites } from '../refusedWrites.ts'
import { isBlank } from '../unfitCopy.ts'
import { Applier } from './applier.ts'
import { CopyLock } from './copyLock.ts'
import type { CopyHost, CopyOptions } from './copyOptions.ts'
import { keepWal, LAST_CONNECTION, leaveToReaders, ReadMark } from './copyReaders.ts'
import { type CopyState, type Settled, scanCopy, settle } from './copyState.ts'
import { Durability } from './durability.ts'

/**
 * Quiet rounds between two attempts to empty a WAL that a reader has kept from being emptied: each
 * costs a gap in the lock.
 */
const IDLE_ROUNDS = 10
/**
 * Backfills beside the apply before the one that pauses it, while more than FEW_FRAMES are left.
 */
const ROUNDS = 3
const FEW_FRAMES = 256
/** Tries to empty the WAL before another file takes the name of this one. */
const CEDING_ROUNDS = 20
const CEDING_PAUSE_MS = 100
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
  readonly #readMark: ReadMark
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
    this.#readMark = new ReadMark(options.thread, scanned.walIndex)
    this.#writer = new WalWriter(
      files,
      options.ops,
      scanned.header,
      scanned.walIndex.rawHeader,
      scanned.frames,
    )
    this.#applier = new Applier(
      this.#writer,
      scanned.sums,
      options.positions,
      files.pageSize,
      found.position,
    )
    this.isAsRecorded = found.isRecorded
    const own = { position: () => this.#applier.position, sync: () => this.#sync() }
    this.durability = new Durability(own, files)
  }

  /**
   * Opens the copy, takes its write lock and settles where it stands: the stored positions are
   * claims, the state checksum decides.
   */
  static async open(
    options: CopyOptions,
    host: CopyHost,
    recorded: readonly PositionRecord[],
  ): Promise<Copy> {
    const { thread, path, access } = options
    try {
      requirePlainLog(path)
      const frames = refillCutWal(path)
      if (frames > 0)
        options.log.warn(
          { path, frames },
          'the WAL of the copy was cut short; it is compared with the leader',
        )
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

  /**
   * Goes on with a database that this process has led until now, or gave up leading. Throws
   * WAL_INDEX_UNREADABLE.
   */
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

  /**
   * Gives it to the engine of another role, with the write lock, after `holdLock`. Nothing may be
   * applied any more. Throws SQLITE_BUSY when the lock was lost.
   */
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

  get walFileBytes(): number {
    return walFileBytes(this.#files)
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
    if (!this.#readMark.isThere) void this.#readMark.set(mxFrame)
    if (mxFrame < this.#framesAfterCheckpoint) this.#framesAfterCheckpoint = 0
    if (
      (mxFrame - this.#framesAfterCheckpoint) * frameBytes(this.#files.pageSize) >=
      this.#options.walBytes
    )
      this.#startCheckpoint()
  }

  /** To be called when nothing came for a while. */
  onIdle(): void {
    const { mxFrame } = this.#writer
    if (mxFrame === 0) return
    if (mxFrame !== this.#framesAfterCheckpoint || ++this.#idleRounds % IDLE_ROUNDS === 0)
      this.#startCheckpoint()
  }

  /**
   * Runs `work` while no checkpoint of ours lets go of the lock or moves pages. Throws STOPPING
   * when the copy is being closed.
   */
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

  /**
   * No checkpoint lets go of the lock any more. Throws FENCE_FAILED when another writer keeps it
   * for longer than `timeoutMs`, and all goes on as before.
   */
  async holdLock(timeoutMs: number): Promise<void> {
    this.#undisturbed++
    let timer: Timer | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimer(() => resolve(false), timeoutMs)
    })
    const isHeld = await Promise.race([Promise.resolve(this.#checkpointing).then(() => true), late])
    cancelTimer(timer)
    if (isHeld) return
    this.#undisturbed--
    throw new WalcastError('FENCE_FAILED', { timeoutMs: Math.round(timeoutMs) })
  }

  /** Made of an empty file, and without content as long as nothing was brought. */
  get isBlank(): boolean {
    return this.#applier.position.epoch === 0
  }

  /** Whether it really has none: a program may have filled the file meanwhile. */
  async isWithoutContent(): Promise<boolean> {
    return isBlank(await new PageReader(this.pages).read(1), this.#applier.pages)
  }

  /**
   * Before `cede`: everything goes into the database file, unless a reader keeps it from that for
   * too long. Throws STRAY_WRITE.
   */
  async makeWholeFile(): Promise<void> {
    const { state } = this.#applier.sums.settled
    this.#applier.discard()
    for (let round = 0; round < CEDING_ROUNDS; round++) {
      await this.#lock.move([TRUNCATE])
      await this.#checkGap()
      if (this.#applier.sums.settled.state !== state) throw strayWrite(this.#options.path, false)
      if (this.#writer.mxFrame === 0) return
      await delay(CEDING_PAUSE_MS)
    }
  }

  /**
   * The file `from` takes its name. Connections that are open now stay with this copy, its log and
   * its wal-index, all without a name; SQLite leaves the new ones' alone when they close
   * (databaseIsUnmoved in pager.c).
   */
  cede(from: string): void {
    const { ops, path } = this.#options
    try {
      ops.supersede(from, path)
    } catch (error) {
      // Without their names its files are of no use to the next start.
      if (!existsSync(this.#files.walPath)) this.#host.onFatal(asWalcastError(error))
      throw error
    }
    this.#stopped = true
  }

  /** Writes what is visible into a database of its own at `to`, durably. */
  async writeTo(to: string): Promise<void> {
    const { thread, ops } = this.#options
    await vacuumInto(thread, 'keeper', to)
    const fd = openSync(to, 'r')
    await ops.syncAside('kept.sync', [fd], to).finally(() => closeSync(fd))
  }

  /**
   * What is left of it can be read, and no longer be written: nobody would ever see that. Never
   * throws.
   */
  async closeCeded(): Promise<void> {
    const { thread, log } = this.#options
    try {
      await refuseWrites(this.pages, this.#writer, this.#applier.pages)
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'the copy that was replaced can still be written by who has it open',
      )
    }
    await this.#lock.release()
    await thread.attempt(close('checkpoint'), close('keeper'))
    // Its WAL stays open, as its other files do: a read of it may be under way.
    await this.durability.settled()
  }

  /** Gives whether all that was written to it is on the disk. */
  async close(): Promise<boolean> {
    this.#stopped = true
    this.#lock.giveUp()
    await this.#checkpointing
    const { thread, path } = this.#options
    const isWithinResync = this.#applier.isSyncing
    // What a resync has brought lies in the WAL: the next start takes it up.
    if (isWithinResync) await keepWal(thread, path)
    this.#applier.discard()
    // No connection does so when one of another process is open, or when the WAL is to stay.
    const { walFd, database } = this.#files
    const [synced] = await thread.attempt(sync(walFd, database.fd))
    if (!synced.ok) this.durability.onSyncFailed(new Error(synced.detail))
    await this.#lock.release()
    if (!isWithinResync) await leaveToReaders(thread, path)
    await thread.attempt(close('checkpoint'), close('keeper'), close(LAST_CONNECTION))
    await this.durability.settled()
    closeSync(walFd)
    return this.#files.syncFailure === undefined
  }

  /**
   * The WAL with what is visible, the file, and the record of the position, by which the next start
   * knows the content.
   */
  async #sync(): Promise<void> {
    const { ops, path, positions, clock } = this.#options
    if (this.#stopped) throw new WalcastError('STOPPING')
    const startMs = clock.nowMs()
    const { walFd, database } = this.#files
    await ops.syncAside('copy.sync', [walFd, database.fd, positions.fd], path)
    if (!this.#isNamed)
      await Promise.all([dirname(path), dirname(positions.path)].map(syncFolderAside))
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
   * First the lock moves to the WAL's end, so that PASSIVE may backfill up to there while batches
   * go on being applied. Then, for the little that is left, apply pauses, the lock is let go, and
   * TRUNCATE empties the WAL, unless a reader lingers: then that is for another time.
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

  /**
   * Has SQLite set a read mark where there is none (see copyReaders.ts), unless frames that
   * TRUNCATE would take with it wait to become visible.
   */
  async #admitReaders(): Promise<void> {
    if (this.#readMark.look(this.#writer.mxFrame)) return
    await this.#gap([TRUNCATE])
    this.#readMark.look(this.#writer.mxFrame)
  }

  /**
   * Moves the lock, with `middle` in the gap, and checks what happened in it. Undefined when a
   * transaction is under way, or somebody waits for the end of the checkpoint.
   */
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
    this.#host.onStray(strayWrite(this.#options.path, same), same)
  }

  /**
   * Takes it that the copy holds what the disk has of rotten pages, so that a comparison with the
   * leader brings the right images. False while more is under way.
   */
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

function strayWrite(path: string, same: boolean): WalcastError {
  const detail = same ? 'its content is unchanged' : 'its content differs'
  return new WalcastError('STRAY_WRITE', { path, detail })
}
