/**
 * A replica's copy while it is open, from the first scan until it is closed or given to the engine
 * of another role.
 */
import { dirname } from 'node:path'
import { asWalcastError, messageOf, WalcastError } from '../../errors.ts'
import { syncFolderAside } from '../../platform/fileOps.ts'
import { closeSync, existsSync, openSync } from '../../platform/files.ts'
import { requirePlainLog } from '../../platform/plainFiles.ts'
import { refillCutWal } from '../../sqlite/cutWal.ts'
import { adoptDatabase, closeWal, walFileBytes } from '../../sqlite/databaseFiles.ts'
import { type HeldDatabase, WRITE_LOCK_CONNECTION } from '../../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../../sqlite/pageCheck.ts'
import { PageReader } from '../../sqlite/pageReader.ts'
import { isStillThere } from '../../sqlite/pinnedFiles.ts'
import type { PositionRecord } from '../../sqlite/positionLog.ts'
import type { RottenPage } from '../../sqlite/scrub/scrubPass.ts'
import { close, open, sync } from '../../sqlite/sqliteThread.ts'
import { vacuumInto } from '../../sqlite/vacuumInto.ts'
import { frameBytes } from '../../sqlite/walFormat.ts'
import { refuseWrites } from '../refusedWrites.ts'
import { isBlank } from '../unfitCopy.ts'
import type { Applier } from './applier.ts'
import { CopyCheckpoints } from './copyCheckpoints.ts'
import { CopyContent } from './copyContent.ts'
import { CopyLock } from './copyLock.ts'
import type { CopyHost, CopyOptions } from './copyOptions.ts'
import { keepWal, LAST_CONNECTION, leaveToReaders } from './copyReaders.ts'
import { scanCopy, settle } from './copyState.ts'
import { Durability } from './durability.ts'

export class Copy {
  readonly #options: CopyOptions
  readonly #host: CopyHost
  readonly #lock: CopyLock
  readonly #content: CopyContent
  readonly checkpoints: CopyCheckpoints
  readonly durability: Durability
  /** Whether the newest recorded position describes the content that was found. */
  readonly isAsRecorded: boolean
  /** Whether the names of its files are durable. They stay as long as the copy is open. */
  #isNamed = false
  #stopped = false

  private constructor(
    options: CopyOptions,
    host: CopyHost,
    lock: CopyLock,
    content: CopyContent,
    isAsRecorded: boolean,
  ) {
    this.#options = options
    this.#host = host
    this.#lock = lock
    this.#content = content
    this.isAsRecorded = isAsRecorded
    const own = { position: () => content.applier.position, sync: () => this.#sync() }
    const durability = new Durability(own, content.files)
    this.durability = durability
    this.checkpoints = new CopyCheckpoints(options, host, { lock, content, durability })
  }

  /**
   * Opens the copy, takes its write lock and settles its position. The recorded positions are
   * claims; the state checksum decides.
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
          'the WAL of the copy was cut short; comparing the copy with the leader',
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
      const { position, isRecorded } = settle(scanned.sums, recorded)
      const content = new CopyContent(options, files, lock, scanned, position)
      const copy = new Copy(options, host, lock, content, isRecorded)
      await content.applier.takeUp()
      await copy.checkpoints.admitReaders()
      return copy
    } catch (error) {
      await thread.attempt(close(WRITE_LOCK_CONNECTION), close('checkpoint'), close('keeper'))
      throw error
    }
  }

  /**
   * Takes over a database that this process has led until now, or gave up leading. Throws
   * WAL_INDEX_UNREADABLE.
   */
  static async takeOver(options: CopyOptions, host: CopyHost, held: HeldDatabase): Promise<Copy> {
    const { thread, path } = options
    const { files, walIndex, sums, frames, position } = held
    // Nothing else writes the header under the lock, so one read finds it whole.
    const header = walIndex.read()
    if (!header) throw new WalcastError('WAL_INDEX_UNREADABLE', { path })
    await thread.run(open('checkpoint', path, 0))
    // A stray write before leadership was refused, for example, is recorded nowhere.
    const { isRecorded } = settle(sums, held.positions.known)
    const lock = new CopyLock(thread, true)
    const state = { walIndex, header, sums, frames }
    const content = new CopyContent(options, files, lock, state, position)
    const copy = new Copy(options, host, lock, content, isRecorded)
    await copy.checkpoints.admitReaders()
    return copy
  }

  /**
   * Gives the copy, with its write lock, to the engine of another role. Must follow
   * `checkpoints.holdLock`; nothing may be applied any more. Throws SQLITE_BUSY when the lock was
   * lost.
   */
  async handOver(): Promise<HeldDatabase> {
    await this.#stop()
    this.#lock.requireHeld()
    this.applier.discard()
    await this.#options.thread.run(close('checkpoint'))
    // The next owner closes the descriptors, and must know what became of a sync of them.
    await this.durability.settled()
    const { files, walIndex, writer, applier } = this.#content
    const { sums, position } = applier
    const { positions } = this.#options
    return { files, walIndex, sums, frames: writer.frames, positions, position }
  }

  get applier(): Applier {
    return this.#content.applier
  }

  get pageSize(): number {
    return this.#content.files.pageSize
  }

  get walBytes(): number {
    return this.#content.writer.mxFrame * frameBytes(this.pageSize)
  }

  get walFileBytes(): number {
    return walFileBytes(this.#content.files)
  }

  /** Where page images are read from. */
  get pages(): CheckedPages {
    return this.#content.pages
  }

  get isThere(): boolean {
    return isStillThere(this.#content.files.database)
  }

  /** Made of an empty file, and without content until the first pages are visible. */
  get isBlank(): boolean {
    return this.applier.position.epoch === 0
  }

  /** Whether a blank copy really has no content: a program may have filled the file meanwhile. */
  async isWithoutContent(): Promise<boolean> {
    return isBlank(await new PageReader(this.pages).read(1), this.applier.pages)
  }

  /**
   * Gives the file `from` the name of this one, after `checkpoints.makeWholeFile`. Connections that
   * are open now keep this copy, its WAL and its wal-index, which no longer have names. When they
   * close, SQLite leaves the files of the new copy alone (databaseIsUnmoved in pager.c).
   */
  cede(from: string): void {
    const { ops, path } = this.#options
    try {
      ops.supersede(from, path)
    } catch (error) {
      // The next start cannot use files without their names.
      if (!existsSync(this.#content.files.walPath)) this.#host.onFatal(asWalcastError(error))
      throw error
    }
    void this.#stop()
  }

  /** Writes the visible state into a new database at `to`, durably. */
  async writeTo(to: string): Promise<void> {
    const { thread, ops } = this.#options
    await vacuumInto(thread, 'keeper', to)
    const fd = openSync(to, 'r')
    await ops.syncAside('kept.sync', [fd], to).finally(() => closeSync(fd))
  }

  /**
   * Makes the replaced copy read-only, since no other connection would ever see a write to it, and
   * closes it. Never throws.
   */
  async closeCeded(): Promise<void> {
    const { thread, log } = this.#options
    try {
      await refuseWrites(this.pages, this.#content.writer, this.applier.pages)
    } catch (error) {
      log.warn(
        { error: messageOf(error) },
        'could not make the replaced copy read-only; programs may still write to it',
      )
    }
    await this.#lock.release()
    await thread.attempt(close('checkpoint'), close('keeper'))
    // Its WAL stays open, like its other files: a read of it may be under way.
    await this.durability.settled()
  }

  /** Returns whether everything written to the copy is on the disk. */
  async close(): Promise<boolean> {
    this.#lock.giveUp()
    await this.#stop()
    const { thread, path } = this.#options
    const isWithinResync = this.applier.isSyncing
    // The WAL holds pages that a resync has brought. The next start goes on with them.
    if (isWithinResync) await keepWal(thread, path)
    this.applier.discard()
    // SQLite's last close syncs only when no other process has the copy open and no WAL stays.
    const { walFd, database } = this.#content.files
    const [synced] = await thread.attempt(sync(walFd, database.fd))
    if (!synced.ok) this.durability.onSyncFailed(new Error(synced.detail))
    await this.#lock.release()
    if (!isWithinResync) await leaveToReaders(thread, path)
    await thread.attempt(close('checkpoint'), close('keeper'), close(LAST_CONNECTION))
    await this.durability.settled()
    closeWal(this.#content.files)
    return this.#content.files.syncFailure === undefined
  }

  /**
   * Syncs the WAL with the visible frames, the database file, and the position log, by which the
   * next start knows the content.
   */
  async #sync(): Promise<void> {
    const { ops, path, positions, clock } = this.#options
    if (this.#stopped) throw new WalcastError('STOPPING')
    const startMs = clock.nowMs()
    const { walFd, database } = this.#content.files
    await ops.syncAside('copy.sync', [walFd, database.fd, positions.fd], path)
    if (!this.#isNamed)
      await Promise.all([dirname(path), dirname(positions.path)].map(syncFolderAside))
    this.#isNamed = true
    this.#host.onDurable(clock.nowMs() - startMs)
  }

  /**
   * Adopts what the disk has of rotten pages as the copy's content, so that a comparison with the
   * leader brings the right images. False while a transaction is under way.
   */
  admit(rotten: readonly RottenPage[]): boolean {
    const { sums, isOpen } = this.applier
    if (isOpen || this.#stopped) return false
    for (const { page, found } of rotten) if (page <= sums.pages) sums.set(page, found)
    sums.settle()
    return true
  }

  /** Reads the whole copy again. Forgets what was not visible yet. */
  reread(): Promise<void> {
    return this.#content.reread()
  }

  #stop(): Promise<void> {
    this.#stopped = true
    return this.checkpoints.stop()
  }
}
