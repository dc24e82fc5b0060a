/**
 * A leader's database while it is captured: its write fence, its checkpoints, and one run of
 * capture after the other.
 *
 * When commits were lost to capture (UNKNOWN_CHANGE, WAL_BROKEN) it scans the database again and
 * begins a new epoch; replicas then compare pages. When the file itself is gone, it fails for good.
 */
import { asWalcastError, keyOf, messageOf, WalcastError } from '../errors.ts'
import type { ReplicaFeed } from '../feed/replicaFeed.ts'
import { fdatasyncSync } from '../platform/files.ts'
import { closeWal, type DatabaseFiles } from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { isStillThere } from '../sqlite/pinnedFiles.ts'
import type { PositionRecord } from '../sqlite/positionLog.ts'
import { close } from '../sqlite/sqliteThread.ts'
import { frameBytes } from '../sqlite/walFormat.ts'
import type { Capture } from './capture.ts'
import type { CaptureRun } from './captureRun.ts'
import type { Checkpointer } from './checkpointer.ts'
import { captureRunOf, checkpointerOf } from './leaderCapture.ts'
import type { LeaderOptions } from './leaderOptions.ts'
import { closeOwn, type OpenDatabase } from './openDatabase.ts'
import { rebuildBatches } from './rebuiltBatches.ts'
import type { StartPoint } from './startPoint.ts'
import { type FoundStart, findStart, type LedDatabase } from './startup.ts'

/** With the fence taken the second round finds everything; without it, writers may go on. */
const DRAIN_ROUNDS = 4

export interface DrainedPosition {
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
}

/** Where capture begins. */
export interface CaptureStart {
  readonly scanned: LedDatabase
  readonly start: Pick<StartPoint, 'epoch' | 'txid'>
}

export interface CapturedDatabaseHost {
  readonly feed: ReplicaFeed
  /** Capture begins anew: nothing that follows follows from what was fed. */
  onRestart(): void
}

export class CapturedDatabase {
  readonly #options: LeaderOptions
  readonly #open: OpenDatabase
  readonly #host: CapturedDatabaseHost
  #checkpointer: Checkpointer
  #scanned: LedDatabase
  #run: CaptureRun
  #restarting: Promise<void> | undefined
  #isStopping = false
  /** Given to the engine of another role. */
  #isReleased = false

  constructor(
    options: LeaderOptions,
    open: OpenDatabase,
    begin: CaptureStart,
    host: CapturedDatabaseHost,
  ) {
    this.#options = options
    this.#open = open
    this.#host = host
    this.#checkpointer = checkpointerOf(options, open, {
      run: () => this.#run,
      onFailed: (error) => this.#onCheckpointFailed(error),
    })
    this.#scanned = begin.scanned
    this.#run = this.#newRun(begin)
  }

  get files(): DatabaseFiles {
    return this.#open.files
  }

  /** The run of capture that is under way, or the last one. */
  get run(): CaptureRun {
    return this.#run
  }

  get capture(): Capture {
    return this.#run.capture
  }

  /** Whether no connection of any process can write. */
  get isFenced(): boolean {
    return this.#open.fence.isTaken
  }

  get walBytes(): number {
    return this.capture.walFrames * frameBytes(this.files.pageSize)
  }

  /** The positions on record, oldest first. */
  records(): readonly PositionRecord[] {
    return this.#open.positions.read()
  }

  /** Pages at the position; within a transaction they are ahead of it. */
  pages(): CheckedPages {
    const { sums, frames } = this.#scanned
    return { files: this.files, sums, frames }
  }

  position() {
    const { epoch, incarnation, txid, checksum, isOpen } = this.capture
    return { epoch, incarnation, txid, checksum, isOpen, pages: this.#scanned.sums.pages }
  }

  /** Begins to capture where a scan found the database. */
  begin(found: FoundStart): void {
    if (!found.start.newEpoch) this.#remember(found)
    this.goOn()
    if (found.isBackfilled) this.#checkpointer.mend()
  }

  #remember({ scanned, start }: FoundStart): void {
    const { db, batchBytes, historyBytes, clock } = this.#options
    const limits = { db, batchBytes, limitBytes: historyBytes / 2, nowMs: clock.nowMs() }
    for (const batch of rebuildBatches(this.files, scanned, start, limits))
      this.#host.feed.remember(batch)
  }

  /** Begins to capture a database that this process has followed until now. */
  goOn(): void {
    if (!this.#isStopping) this.#run.start()
    this.#options.observer.onEpoch(this.capture.epoch)
  }

  /**
   * A position that contains every commit made before the call. Throws STARTING while capture
   * begins anew, and what capture throws.
   */
  async settle(): Promise<{ readonly epoch: number; readonly txid: number }> {
    if (this.#isReleased) return { epoch: this.capture.epoch, txid: this.capture.txid }
    return this.#run.settle()
  }

  /** Fails for good when the file is gone or is another one. Gives whether capture goes on. */
  requireFile(): boolean {
    const { files } = this.#open
    if (isStillThere(files.database)) return this.#run.isOn
    this.#onCaptureFailed(new WalcastError('DB_REPLACED', { path: files.path }))
    return false
  }

  /** To be called now and then. */
  checkpointWhenIdle(): void {
    this.#checkpointer.onIdle()
  }

  endCheckpoints(): Promise<void> {
    return this.#checkpointer.stop()
  }

  async takeFence(timeoutMs: number): Promise<void> {
    await this.#checkpointer.stop()
    await this.#open.fence.take(timeoutMs)
  }

  async admitWriters(): Promise<void> {
    // Capture may have lost its place meanwhile: what begins anew has a checkpointer of its own.
    await this.#restarting
    await this.#open.fence.release()
    // Only one checkpointer may work: this one still does when writers had been let in before.
    await this.#checkpointer.stop()
    this.#open.guard.lookUp()
    this.#checkpointer = this.#checkpointer.reopen()
  }

  async drain(): Promise<DrainedPosition> {
    for (let round = 1; ; round++) {
      await this.#restarting
      await this.#checkpointer.stop()
      try {
        if (!this.#run.isOn) throw new WalcastError('STARTING')
        await this.#run.readToEnd(true)
        const { epoch, txid, checksum } = this.capture
        return { epoch, txid, checksum }
      } catch (error) {
        if (!this.#restarting || round === DRAIN_ROUNDS) throw error
      }
    }
  }

  /** Ends capture. The database must be fenced and drained. */
  async end(): Promise<void> {
    await this.#endWaking()
    if (!this.isFenced || !this.#run.isOn || this.capture.isOpen)
      throw new WalcastError('INTERNAL', {
        detail: 'a database is handed over only fenced and drained',
      })
    this.#run.end()
    this.#isReleased = true
    this.capture.recordPosition()
  }

  /** Gives up the database, with its write lock, after `end`. */
  async release(): Promise<HeldDatabase> {
    const { thread, files, positions } = this.#open
    await thread.run(...closeOwn())
    const { walIndex, sums, frames } = this.#scanned
    const { epoch, incarnation, txid } = this.capture
    return { files, walIndex, sums, frames, positions, position: { epoch, incarnation, txid } }
  }

  /** Captures what is left. Nothing is captured by itself from now on. */
  async captureLast(): Promise<void> {
    await this.#endWaking()
    await this.#checkpointer.stop()
    if (!this.#run.isOn || !this.#open.thread.isAlive) return
    try {
      await this.#run.readToEnd(true)
      this.capture.recordPosition()
    } catch (error) {
      this.#options.log.warn(
        { error: messageOf(error) },
        'cannot capture the last commits; the next start may begin a new epoch',
      )
    }
  }

  /** Closes everything but the pinned files. The database stays as it is. */
  async close(): Promise<void> {
    const { thread, files, positions } = this.#open
    this.#run.end()
    await thread.attempt(...closeOwn(), close('keeper'))
    // A clean stop promises that everything shipped is durable here too.
    fdatasyncSync(files.walFd)
    positions.close(true)
    closeWal(files)
  }

  async #endWaking(): Promise<void> {
    this.#isStopping = true
    this.#run.stopWaking()
    await this.#restarting
    this.#run.stopWaking()
  }

  #newRun({ scanned, start }: CaptureStart): CaptureRun {
    return captureRunOf(this.#options, this.#open, scanned, start, this.#host.feed, {
      onCaptured: () => this.#checkpointer.onCaptured(),
      onUnverified: (frames) => {
        this.#options.observer.onUnverified(frames)
        this.#checkpointer.mend()
      },
      onFailed: (error) => this.#onCaptureFailed(error),
    })
  }

  #onCaptureFailed(error: unknown): void {
    const key = keyOf(error)
    if (key !== 'UNKNOWN_CHANGE' && key !== 'WAL_BROKEN') {
      const fatal = asWalcastError(error)
      this.#run.end()
      return this.#options.observer.onFatal(fatal)
    }
    this.#restarting ??= this.#restart(error).finally(() => {
      this.#restarting = undefined
    })
  }

  /** Begins a new epoch after commits were lost to capture. */
  async #restart(cause: unknown): Promise<void> {
    const { log, observer } = this.#options
    log.error(
      { error: messageOf(cause) },
      'capture lost its place in the WAL; beginning a new epoch',
    )
    this.#run.end()
    this.#host.onRestart()
    try {
      await this.#checkpointer.stop()
      await this.#open.guard.renew()
      const parts = { ...this.#open, options: this.#options }
      const found = await findStart(parts, { forced: messageOf(cause), seen: [] })
      this.#scanned = found.scanned
      this.#run = this.#newRun(found)
      this.begin(found)
      this.#checkpointer = this.#checkpointer.reopen()
    } catch (error) {
      observer.onFatal(asWalcastError(error))
    }
  }

  #onCheckpointFailed(error: unknown): void {
    if (this.#isStopping || !this.#run.isOn) return
    if (keyOf(error) === 'UNKNOWN_CHANGE') return this.#onCaptureFailed(error)
    const { log } = this.#options
    log.warn({ error: messageOf(error) }, 'a checkpoint failed; retrying')
  }
}
