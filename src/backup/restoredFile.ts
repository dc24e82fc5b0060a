/**
 * The database file that a restore makes. It is written beside the place where it belongs, its
 * state checksum is compared at every position on the way, and it gets its name once it is whole,
 * verified and durable.
 *
 * Pages are gathered in memory, so that one that changes often is written once. A page that has
 * its content already is not written: the file may begin as a copy of an old database.
 */
import { MAX_PAGE_NUMBER } from '../../proto/limits.ts'
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { closeSync, ftruncateSync } from '../platform/files.ts'
import { PageSet } from '../sqlite/pageSet.ts'
import { PageSums, pageSum } from '../sqlite/pageSums.ts'
import { checksumHex } from '../xxh64.ts'
import type { PointOf } from './archiveFileWriter.ts'
import { sumsAt, sumsOfFile } from './filePages.ts'
import { type PageBatch, writePages } from './pageWrites.ts'
import { PendingPages } from './pendingPages.ts'
import {
  announced,
  journalOf,
  type RestoreJournal,
  type RestoreProgress,
  sumText,
  writeJournal,
} from './restoreJournal.ts'
import { copyToSide, makeSide, openSide, removeLeftovers, removeLogs, sideOf } from './sideFile.ts'

/** Pages that are gathered; as many more may be on their way to the disk. A kill costs both. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024
const MAX_PENDING_PAGES = 8192
/** So many pages that come together stay where they are, when they are most of what is there. */
const LEAST_KEPT_BYTES = 64 * 1024

export interface RestoredFileSetup {
  /** Where the file belongs. */
  readonly path: string
  readonly pageSize: number
  readonly ops: FileOps
  /** Names the plan in the journal; undefined: no journal is kept. */
  readonly plan?: string | undefined
  /** Bytes of pages that wait in memory. */
  readonly pendingBytes?: number | undefined
}

export class RestoredFile {
  readonly #setup: RestoredFileSetup
  readonly #fd: number
  readonly #sums: PageSums
  #pending: PendingPages
  /** Of the write before, and then of the one after. */
  #idle: PendingPages
  #flushing = Promise.resolve()
  readonly #maxPending: number
  /** Checksums of what the file holds now, also past the end of the database. */
  readonly #disk: PageSums
  readonly #written = new PageSet(0)
  /** What the file holds for sure. */
  #durable: RestoreJournal
  #hasJournal: boolean
  /** All pages up to this one are there. */
  #complete = 0
  #isClosed = false

  private constructor(
    setup: RestoredFileSetup,
    fd: number,
    disk: PageSums,
    sums: PageSums,
    journal?: RestoreJournal,
  ) {
    this.#setup = setup
    this.#fd = fd
    this.#disk = disk
    this.#sums = sums
    this.#hasJournal = journal !== undefined
    this.#durable = journal ?? this.#recordAt(NOTHING)
    const { pageSize, pendingBytes = MAX_PENDING_BYTES } = setup
    this.#pending = new PendingPages(pageSize)
    this.#idle = new PendingPages(pageSize)
    this.#maxPending = Math.max(1, Math.min(MAX_PENDING_PAGES, Math.floor(pendingBytes / pageSize)))
  }

  /**
   * A new file. What another restore has left there is removed. `base`: an old database, of whose
   * pages those are kept that are right. Throws DISK_FULL or WRITE_FAILED.
   */
  static async begin(setup: RestoredFileSetup, base?: string): Promise<RestoredFile> {
    const { path, pageSize, ops } = setup
    const side = sideOf(path)
    removeLeftovers(path)
    const fd = base === undefined ? makeSide(side) : copyToSide(side, base, ops)
    return new RestoredFile(setup, fd, await sumsOfFile(fd, pageSize), new PageSums(pageSize))
  }

  /** Goes on where `journal` ends. Undefined when the pages of the file do not prove it. */
  static async resume(
    setup: RestoredFileSetup,
    journal: RestoreJournal,
  ): Promise<RestoredFile | undefined> {
    const side = sideOf(setup.path)
    removeLogs(side)
    const fd = openSide(side)
    if (fd === undefined) return undefined
    const disk = await sumsOfFile(fd, setup.pageSize)
    const sums = sumsAt(journal, disk)
    if (sums && checksumHex(sums.state) === journal.state)
      return new RestoredFile(setup, fd, disk, sums, journal)
    closeSync(fd)
    return undefined
  }

  /** State checksum so far, 16 hex digits. */
  get checksum(): string {
    return checksumHex(this.#sums.state)
  }

  get pageSize(): number {
    return this.#setup.pageSize
  }

  get pages(): number {
    return this.#sums.pages
  }

  /** Pages that were written, each counted once. */
  get writtenPages(): number {
    this.#written.deleteRange(this.pages + 1, MAX_PAGE_NUMBER)
    return this.#written.size
  }

  get isFull(): boolean {
    return this.#pending.load >= this.#maxPending
  }

  /** Before the last part of a position: the size of the database there. */
  resize(pages: number): void {
    this.#sums.resize(pages)
    this.#complete = Math.min(this.#complete, pages)
  }

  /**
   * Images, one behind another: it takes as many as there is room for, at least one, and says how
   * many. `bytes` must not change later.
   */
  put(numbers: Uint32Array, bytes: Buffer): number {
    const { pageSize } = this.#setup
    const images = numbers.length * pageSize
    const isKept = images >= LEAST_KEPT_BYTES && 2 * images >= bytes.buffer.byteLength
    let taken = 0
    do {
      const image = bytes.subarray(taken * pageSize, (taken + 1) * pageSize)
      this.#take(numbers[taken++], image, isKept)
    } while (taken < numbers.length && !this.isFull)
    return taken
  }

  /** All pages of a position are there. Throws ARCHIVE_MISMATCH. */
  prove({ txid, checksum, pages }: PointOf): void {
    const missing = this.#sums.firstMissing(this.#complete + 1)
    if (missing > 0) throw mismatch(txid, `page ${missing} is missing`)
    if (this.checksum !== checksum)
      throw mismatch(txid, `the pages give ${this.checksum}, and ${checksum} was archived`)
    this.#complete = pages
    // What follows starts from here; the undo log of what came before is of no use.
    this.#sums.settle()
  }

  /**
   * Begins to write what waits, and to make it durable with `progress`: more may be put meanwhile.
   * Waits for the flush before. Throws DISK_FULL or WRITE_FAILED, of that one too.
   */
  async flush(progress: RestoreProgress): Promise<void> {
    await this.#flushing
    const announcement = this.#announced()
    const batch = this.#takeBatch()
    const recorded = this.#recordAt(progress)
    this.#flushing = this.#carryOut(announcement, batch, recorded)
    // Whoever flushes next, or ends, hears of it.
    this.#flushing.catch(() => {})
  }

  /** Cuts the file to its pages, and makes it durable. Throws as `flush` does. */
  async finish(progress: RestoreProgress): Promise<void> {
    await this.#flushing
    if (this.#hasJournal) await this.#save(this.#announced())
    await this.#write(this.#takeBatch())
    this.#requireAll()
    ftruncateSync(this.#fd, this.#sums.pages * this.#setup.pageSize)
    await this.#sync()
    if (this.#hasJournal) await this.#save(this.#recordAt(progress))
    this.#close()
  }

  /** Gives it its name, by `name` when something is there. Throws DISK_FULL or WRITE_FAILED. */
  async publish(name?: (side: string) => Promise<void>): Promise<void> {
    const { path, ops } = this.#setup
    if (this.#hasJournal) ops.erase('restore.erase', journalOf(path))
    this.#hasJournal = false
    if (name) await name(sideOf(path))
    else ops.publish(sideOf(path), path)
  }

  /** Ends without a result. With `keep` a later restore may go on, if there is a journal. */
  async abandon(keep: boolean): Promise<void> {
    await Promise.allSettled([this.#flushing])
    this.#close()
    if (!(keep && this.#hasJournal)) removeLeftovers(this.#setup.path)
  }

  #take(number: number, bytes: Buffer, isKept: boolean): void {
    const sum = pageSum(number, bytes)
    this.#sums.set(number, sum)
    if (this.#disk.get(number) === sum) this.#pending.delete(number)
    else if (isKept) this.#pending.keep(number, bytes)
    else this.#pending.set(number, bytes)
  }

  async #carryOut(
    announcement: RestoreJournal,
    batch: PageBatch,
    recorded: RestoreJournal,
  ): Promise<void> {
    await this.#save(announcement)
    await this.#write(batch)
    await this.#sync()
    this.#durable = recorded
    await this.#save(recorded)
  }

  #announced(): RestoreJournal {
    return announced(this.#durable, this.#pending.numbers(), this.#disk)
  }

  /** What waits, as if the file had it already: when it does not get there, nothing goes on. */
  #takeBatch(): PageBatch {
    const pending = this.#pending
    this.#pending = this.#idle
    this.#idle = pending
    const numbers = [...pending.numbers()].filter((page) => page <= this.#sums.pages)
    for (const page of numbers) {
      this.#disk.set(page, this.#sums.get(page))
      this.#written.add(page)
    }
    this.#disk.settle()
    return { pending, numbers }
  }

  async #write(batch: PageBatch): Promise<void> {
    const { path, pageSize, ops } = this.#setup
    await writePages(batch, pageSize, (bytes, position) =>
      ops.writeAside('restore.write', this.#fd, bytes, position, sideOf(path)),
    )
    batch.pending.clear()
  }

  #sync(): Promise<void> {
    return this.#setup.ops.syncAside('restore.sync', [this.#fd], sideOf(this.#setup.path))
  }

  #recordAt(progress: RestoreProgress): RestoreJournal {
    const { plan = '', pageSize } = this.#setup
    // What a killed restore left of a page counts as pending until the page comes again.
    const pending = (this.#durable?.pending ?? [])
      .filter(([page]) => this.#disk.get(page) !== this.#sums.get(page))
      .map(([page]) => [page, sumText(this.#sums.get(page))] as const)
    return {
      ...{ plan, progress, pageSize, pending },
      ...{ pages: this.#sums.pages, state: this.checksum, known: this.#sums.runs() },
    }
  }

  async #save(journal: RestoreJournal): Promise<void> {
    const { path, plan, ops } = this.#setup
    this.#hasJournal = plan !== undefined && (await writeJournal(path, journal, ops))
  }

  /** The file holds what was proven. Throws ARCHIVE_MISMATCH. */
  #requireAll(): void {
    for (let page = 1; page <= this.#sums.pages; page++)
      if (this.#sums.get(page) !== 0n && this.#disk.get(page) !== this.#sums.get(page))
        throw mismatch(0, `page ${page} of what an earlier restore left is another one`)
  }

  /** SQLite never opens the file under this name meanwhile, so its descriptor may be closed. */
  #close(): void {
    if (!this.#isClosed) closeSync(this.#fd)
    this.#isClosed = true
  }
}

const NOTHING: RestoreProgress = { file: 0, point: 0, images: 0, at: undefined, isOpen: false }

function mismatch(txid: number, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
}
