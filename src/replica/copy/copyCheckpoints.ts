/**
 * Checkpoints of the copy, which keep its WAL short while batches are applied.
 *
 *   onApplied, onIdle ──> lock moves to the WAL's end ── PASSIVE ──> few frames left?
 *                                  └<───────── no, up to ROUNDS ─────────┘ │ yes
 *                              apply pauses, lock released ── TRUNCATE ──> lock taken again
 *
 * The first gap lets PASSIVE backfill up to the WAL's end while batches go on. The second one
 * empties the WAL, unless a reader lingers; then a later checkpoint does. In each gap another
 * writer may get in, so the gaps are few, and the content is checked after each.
 */
import { asWalcastError, WalcastError } from '../../errors.ts'
import { inTime } from '../../platform/inTime.ts'
import { delay, monotonicMs } from '../../platform/time.ts'
import { checkpoint, checkpointCounts, sync } from '../../sqlite/sqliteThread.ts'
import { frameBytes } from '../../sqlite/walFormat.ts'
import { type CopyContent, strayWrite } from './copyContent.ts'
import type { CopyLock } from './copyLock.ts'
import type { CopyHost, CopyOptions } from './copyOptions.ts'
import { ReadMark } from './copyReaders.ts'
import type { Durability } from './durability.ts'

/**
 * Quiet rounds between two attempts to empty a WAL that a reader has kept from being emptied. Each
 * attempt costs gaps in the lock.
 */
const IDLE_ROUNDS = 10
/** Backfills beside the apply before the apply pauses, while more than FEW_FRAMES are left. */
const ROUNDS = 3
const FEW_FRAMES = 256
/** Attempts to empty the WAL before another file takes the name of this one. */
const CEDING_ROUNDS = 20
const CEDING_PAUSE_MS = 100
const PASSIVE = checkpoint('checkpoint', 'PASSIVE')
const TRUNCATE = checkpoint('checkpoint', 'TRUNCATE')

export interface CheckpointedCopy {
  readonly lock: CopyLock
  readonly content: CopyContent
  readonly durability: Durability
}

export class CopyCheckpoints {
  readonly #options: CopyOptions
  readonly #host: CopyHost
  readonly #lock: CopyLock
  readonly #content: CopyContent
  readonly #durability: Durability
  readonly #readMark: ReadMark
  readonly #frameBytes: number
  #running: Promise<void> | undefined
  #framesAfter = 0
  #idleRounds = 0
  /** Work under way that no checkpoint may disturb. */
  #undisturbed = 0
  #stopped = false

  constructor(options: CopyOptions, host: CopyHost, copy: CheckpointedCopy) {
    this.#options = options
    this.#host = host
    this.#lock = copy.lock
    this.#content = copy.content
    this.#durability = copy.durability
    this.#readMark = new ReadMark(options.thread, copy.content.walIndex)
    this.#frameBytes = frameBytes(copy.content.files.pageSize)
  }

  /** The owner calls this after each batch that became visible. */
  onApplied(): void {
    const { mxFrame } = this.#content.writer
    if (!this.#readMark.isThere) void this.#readMark.set(mxFrame)
    if (mxFrame < this.#framesAfter) this.#framesAfter = 0
    const bytes = (mxFrame - this.#framesAfter) * this.#frameBytes
    if (bytes >= this.#options.walBytes) this.#start()
  }

  /** The owner calls this from time to time while no batch comes. */
  onIdle(): void {
    const { mxFrame } = this.#content.writer
    if (mxFrame === 0) return
    if (mxFrame !== this.#framesAfter || ++this.#idleRounds % IDLE_ROUNDS === 0) this.#start()
  }

  /**
   * Runs `work` while no checkpoint lets go of the lock or moves pages. Throws STOPPING when the
   * copy is being closed.
   */
  async undisturbed<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped) throw new WalcastError('STOPPING')
    this.#undisturbed++
    try {
      await this.#running
      return await work()
    } finally {
      this.#undisturbed--
    }
  }

  /**
   * From now on no checkpoint lets go of the lock. Throws FENCE_FAILED when another writer keeps it
   * for longer than `timeoutMs`; checkpoints go on then.
   */
  async holdLock(timeoutMs: number): Promise<void> {
    this.#undisturbed++
    const held = await inTime(Promise.resolve(this.#running), monotonicMs() + timeoutMs)
    if (held) return
    this.#undisturbed--
    throw new WalcastError('FENCE_FAILED', { timeoutMs: Math.round(timeoutMs) })
  }

  /**
   * Has SQLite set a read mark where there is none (see copyReaders.ts). Not while a resync has
   * frames in the WAL that are not visible yet: TRUNCATE would remove them.
   */
  async admitReaders(): Promise<void> {
    if (this.#readMark.look(this.#content.writer.mxFrame)) return
    await this.#gap([TRUNCATE])
    this.#readMark.look(this.#content.writer.mxFrame)
  }

  /**
   * Moves everything into the database file, before another file takes its name. Gives up after a
   * while when a reader prevents that. Throws STRAY_WRITE.
   */
  async makeWholeFile(): Promise<void> {
    const { state } = this.#content.applier.sums.settled
    this.#content.applier.discard()
    for (let round = 0; round < CEDING_ROUNDS; round++) {
      await this.#lock.move([TRUNCATE])
      await this.#checkGap()
      if (this.#content.applier.sums.settled.state !== state)
        throw strayWrite(this.#options.path, false)
      if (this.#content.writer.mxFrame === 0) return
      await delay(CEDING_PAUSE_MS)
    }
  }

  /** From now on no checkpoint begins. Resolves when none runs. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  #start(): void {
    if (this.#running || this.#stopped || this.#undisturbed > 0) return
    this.#running = this.#checkpoint()
      .catch((error) => this.#onFailed(error))
      .finally(() => {
        this.#running = undefined
      })
  }

  #onFailed(error: unknown): void {
    if (this.#stopped) return
    this.#host.onFatal(asWalcastError(error))
  }

  async #checkpoint(): Promise<void> {
    const { clock, thread } = this.#options
    const { walFd, database } = this.#content.files
    let backfilled = 0
    for (let round = 0; round < ROUNDS; round++) {
      if (!(await this.#gap([]))) return
      const [passive, synced] = await thread.attempt(PASSIVE, sync(walFd, database.fd))
      if (synced && !synced.ok) this.#durability.onSyncFailed(new Error(synced.detail))
      backfilled = checkpointCounts(passive).backfilled
      if (backfilled <= 0 || this.#content.writer.mxFrame - backfilled <= FEW_FRAMES) break
    }
    const startMs = clock.nowMs()
    const isDone = backfilled > 0 && (await this.#gap([TRUNCATE])) !== undefined
    const { mxFrame } = this.#content.writer
    this.#framesAfter = mxFrame
    this.#host.onCheckpoint({
      complete: isDone && mxFrame === 0,
      pauseMs: clock.nowMs() - startMs,
    })
  }

  /**
   * Moves the lock, with `middle` in the gap, and checks the content afterwards. Undefined when a
   * transaction is under way, or work has begun that must not be disturbed.
   */
  async #gap(middle: Parameters<CopyLock['move']>[0]) {
    const release = this.#host.hold()
    try {
      if (this.#content.applier.isOpen || this.#stopped || this.#undisturbed > 0) return undefined
      const results = await this.#lock.move(middle)
      await this.#checkGap()
      return results
    } finally {
      release()
    }
  }

  async #checkGap(): Promise<void> {
    const stray = await this.#content.checkGap()
    if (stray) this.#host.onStray(stray.error, stray.isSameContent)
  }
}
