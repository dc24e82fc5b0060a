/**
 * The place of the copy, from nothing to a whole copy.
 *
 *   nothing ── pages into a side file ───────────────────────────> whole
 *   an empty file ── made a database ──> blank ── pages ─────────> whole
 *   a database without content ────────> blank ── pages ─────────> whole
 *   a damaged copy ── mended ──> compared ── pages ──────────────> whole
 *   whole, other page size ── pages into a side file, renamed ───> whole
 *
 * Only the last way replaces a file: the page size of a file in WAL mode never changes.
 */
import type { Body } from '../../../proto/messages.ts'
import { type ErrorCode, keyOf, messageOf, WalcastError } from '../../errors.ts'
import { requirePlainFile, requirePlainLog } from '../../platform/plainFiles.ts'
import { foundAt, isBlankDatabase } from '../../sqlite/databaseFiles.ts'
import { NO_COUNTERS } from '../../sqlite/databaseHeader.ts'
import type { HeldDatabase } from '../../sqlite/heldDatabase.ts'
import type { PageSums } from '../../sqlite/pageSums.ts'
import type { SqliteThread } from '../../sqlite/sqliteThread.ts'
import { clearSchema, makeBlank, mend } from '../unfitCopy.ts'
import { Copy } from './copy.ts'
import type { CopyHost, CopyOptions } from './copyOptions.ts'
import { FirstCopySlot } from './firstCopySlot.ts'

export interface CopySlotOptions extends CopyOptions {
  readonly stateFolder: string
}

export interface CopySlotHost extends CopyHost {
  /** The copy is open, or open again. `isMended`: it was damaged and did not open before. */
  onOpened(copy: Copy, isMended: boolean): void
}

/** Errors that mean a damaged copy. */
const DAMAGED: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'DB_NOT_SQLITE',
  'DB_CORRUPT',
])
/** The position of a blank copy. Its record says that this node may fill the file. */
const BLANK = { epoch: 0, incarnation: '0'.repeat(16), txid: 0 }
const NO_FRAME = { salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0, ...NO_COUNTERS }

export class CopySlot {
  readonly #options: CopySlotOptions
  readonly #host: CopySlotHost
  readonly #firstCopy: FirstCopySlot
  #copy: Copy | undefined
  /** The copy in the place does not open as it is. */
  #isDamaged = false

  constructor(options: CopySlotOptions, host: CopySlotHost) {
    this.#options = options
    this.#host = host
    this.#firstCopy = new FirstCopySlot(options.path, options.ops, options.log)
  }

  /** The copy, if it is open. */
  get copy(): Copy | undefined {
    return this.#copy
  }

  /** The copy, if it is open and has content. */
  get whole(): Copy | undefined {
    return this.#copy?.isBlank ? undefined : this.#copy
  }

  /** A copy with another page size is arriving, to replace this one. */
  get isReplacing(): boolean {
    return this.#copy !== undefined && this.#firstCopy.current !== undefined
  }

  /**
   * Returns whether the file at `path` may be a copy, and changes nothing. Throws STRANGE_FILE,
   * NOT_A_COPY, STRAY_WAL or DB_LOCKED for a file that cannot be one. `cluster` is the cluster that
   * this node belongs to, '' before the first copy.
   */
  static async look(path: string, cluster: string, thread: SqliteThread): Promise<boolean> {
    requirePlainLog(path)
    requirePlainFile(`${path}-incoming`)
    if (foundAt(path) !== 'bytes') return false
    if (cluster !== '') return true
    if (await isBlankDatabase(thread, path)) return false
    throw new WalcastError('NOT_A_COPY', { path })
  }

  /**
   * Opens the existing file. It is a copy of ours only if it has a recorded position; an
   * interrupted first copy leaves none. A damaged copy is mended once the leader is connected.
   */
  async adopt(): Promise<void> {
    const { positions, path, log, thread } = this.#options
    if (positions.known.length === 0) {
      if (await isBlankDatabase(thread, path)) return
      positions.close(false)
      throw new WalcastError('NOT_A_COPY', { path })
    }
    this.#firstCopy.tidy()
    try {
      await this.#open()
    } catch (error) {
      if (!DAMAGED.has(keyOf(error))) throw error
      this.#isDamaged = true
      log.warn(
        { path, error: messageOf(error) },
        'the copy is damaged; mending it and comparing it with the leader once connected',
      )
    }
  }

  /** Takes over what this process has open. */
  async takeOver(held: HeldDatabase): Promise<void> {
    this.#copy = await Copy.takeOver(this.#options, this.#host, held)
    this.#host.onOpened(this.#copy, false)
  }

  /**
   * Gives the whole copy to the engine of another role. Without one it closes everything and
   * returns undefined.
   */
  async handOver(): Promise<HeldDatabase | undefined> {
    await this.#firstCopy.close()
    if (this.whole) return this.whole.handOver()
    await this.close()
    return undefined
  }

  /**
   * Prepares for the pages of a resync; returns the checksums of the pages here. Throws STOPPING
   * when the slot is closed meanwhile.
   */
  async prepare(pageSize: number): Promise<PageSums> {
    this.#copy?.applier.discardBatch()
    if (!this.#copy) await this.#openFound(pageSize)
    if (this.#copy?.pageSize === pageSize) this.abandonFirst()
    else await this.#firstCopy.open(pageSize)
    const sums = this.#firstCopy.current?.sums ?? this.#copy?.applier.sums
    if (!sums) throw new WalcastError('STOPPING')
    return sums
  }

  addPages(pages: Body<'pages'>, payload: Buffer): void | Promise<void> {
    if (this.#firstCopy.current) return this.#firstCopy.current.addPages(pages, payload)
    this.#copy?.applier.addPages(pages, payload)
  }

  /** Takes the last pages, verifies the whole and makes it visible. Throws STATE_MISMATCH. */
  async finish(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    const { path, ops, access } = this.#options
    const { epoch, incarnation, txid, dbPages } = synced
    const copy = this.#copy
    if (copy && !this.#firstCopy.current) return copy.applier.finishSync(synced, payload)
    await copy?.checkpoints.makeWholeFile()
    await this.#firstCopy.publish(synced, payload, access.firstMode, (from, checksum) => {
      this.#record({ epoch, incarnation, txid }, checksum, dbPages)
      if (!copy) return ops.publish(from, path)
      copy.cede(from)
      this.#copy = undefined
    })
    await copy?.closeCeded()
    await this.#open()
  }

  #record(at: typeof BLANK, checksum: bigint, pages: number): void {
    const { positions } = this.#options
    positions.append({ ...at, checksum, ...NO_FRAME, pages })
    positions.sync()
  }

  /**
   * Opens a file that is there without an open copy: it is empty or damaged, or the open after its
   * publication failed.
   */
  async #openFound(pageSize: number): Promise<void> {
    const { path, thread, positions } = this.#options
    const found = foundAt(path)
    if (found === 'nothing') return
    if (
      found === 'empty' ||
      (positions.known.length === 0 && (await isBlankDatabase(thread, path)))
    ) {
      this.#record(BLANK, 0n, 0)
      if (found === 'empty') await makeBlank(thread, path, pageSize)
      return this.#open()
    }
    if (!this.#isDamaged) return this.#open()
    mend(path, pageSize, Math.max(...this.#options.positions.known.map(({ pages }) => pages)))
    try {
      await this.#open()
    } catch (error) {
      if (!DAMAGED.has(keyOf(error))) throw error
      clearSchema(path)
      await this.#open()
    }
    this.#isDamaged = false
  }

  /** Removes an unfinished first copy, so that the next one begins with nothing. */
  abandonFirst(): void {
    void this.#firstCopy.abandon()
  }

  async close(): Promise<void> {
    await this.#firstCopy.close()
    const isSynced = (await this.#copy?.close()) ?? true
    this.#options.positions.close(isSynced)
  }

  async #open(): Promise<void> {
    const { path, positions } = this.#options
    // A foreign file came where none was, or where a first copy was interrupted.
    if (positions.known.length === 0) throw new WalcastError('NOT_A_COPY', { path })
    const copy = await Copy.open(this.#options, this.#host, positions.known)
    if (copy.isBlank && !(await copy.isWithoutContent())) {
      await copy.close()
      throw new WalcastError('NOT_A_COPY', { path })
    }
    this.#copy = copy
    this.#host.onOpened(copy, this.#isDamaged)
  }
}
