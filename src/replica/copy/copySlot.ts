/**
 * What a replica has of the database.
 *
 *   nothing ── pages into a side file ──────────────────────> whole
 *   an empty file ── made a database ──> blank ── pages ────> whole
 *   a database without content ────────> blank ── pages ────> whole
 *   a damaged copy ── mended ──> compared ── pages ─────────> whole
 *   whole ── the leader's pages have another size: pages into a side file, which takes its place ──> whole
 *
 * Only the last replaces a file, since the page size of a file in WAL mode never changes.
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
  /** The copy is open, or open again. `isMended`: it was damaged, and opens only now. */
  onOpened(copy: Copy, isMended: boolean): void
}

/** What SQLite or a look at the header says of a copy that was damaged. */
const DAMAGED: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'DB_NOT_SQLITE',
  'DB_CORRUPT',
])
/** The position of a blank copy: it says that the file is this node's to fill. */
const BLANK = { epoch: 0, incarnation: '0'.repeat(16), txid: 0 }
const NO_FRAME = { salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0, ...NO_COUNTERS }

export class CopySlot {
  readonly #options: CopySlotOptions
  readonly #host: CopySlotHost
  readonly #firstCopy: FirstCopySlot
  #copy: Copy | undefined
  /** A copy lies there that cannot be opened as it is. */
  #isDamaged = false

  constructor(options: CopySlotOptions, host: CopySlotHost) {
    this.#options = options
    this.#host = host
    this.#firstCopy = new FirstCopySlot(options.path, options.ops, options.log)
  }

  /** The copy, if one is open. */
  get copy(): Copy | undefined {
    return this.#copy
  }

  /** The same, unless it has no content yet. */
  get whole(): Copy | undefined {
    return this.#copy?.isBlank ? undefined : this.#copy
  }

  /** Pages of another size are fetched that will take the place of the copy. */
  get isReplacing(): boolean {
    return this.#copy !== undefined && this.#firstCopy.current !== undefined
  }

  /**
   * Whether a file that may be a copy lies at `path`, before anything is touched. Throws
   * STRANGE_FILE, NOT_A_COPY, STRAY_WAL or DB_LOCKED for what can be none; `cluster` is the one
   * that this node belongs to, '' before the first copy.
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
   * Opens the file that is there. It is a copy of ours only when a position was recorded for it; a
   * first copy that was cut leaves none. One that was damaged is mended when the leader is there.
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
        'the copy was damaged and cannot be read as it is; it is mended and compared with the leader',
      )
    }
  }

  /** Goes on with what this process has open. */
  async takeOver(held: HeldDatabase): Promise<void> {
    this.#copy = await Copy.takeOver(this.#options, this.#host, held)
    this.#host.onOpened(this.#copy, false)
  }

  /**
   * Gives up the whole copy to the engine of another role. Undefined, with everything closed, when
   * there is none.
   */
  async handOver(): Promise<HeldDatabase | undefined> {
    await this.#firstCopy.close()
    if (this.whole) return this.whole.handOver()
    await this.close()
    return undefined
  }

  /**
   * Gets ready to take in pages; gives the checksums of those that are there. Throws STOPPING when
   * it is closed meanwhile.
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
    await copy?.makeWholeFile()
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
   * The file is there already when opening it failed after it was published, when it is empty, or
   * was damaged.
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

  /** Removes what has come of a first copy, so that the next begins with nothing. */
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
    // Somebody has put a file where none was, or where a first copy was cut.
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
