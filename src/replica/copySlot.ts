/** What a replica has of the database: nothing yet, a first copy that is being made, or a whole copy that is open. */
import { existsSync } from 'node:fs'
import type { Body } from '../../proto/messages.ts'
import { WalcastError } from '../errors.ts'
import { headerPageSize, inspectDatabase } from '../sqlite/databaseFiles.ts'
import type { HeldDatabase } from '../sqlite/heldDatabase.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import { Copy, type CopyHost, type CopyOptions } from './copy.ts'
import { FirstCopySlot } from './firstCopySlot.ts'

export interface CopySlotOptions extends CopyOptions {
  readonly stateFolder: string
}

export interface CopySlotHost extends CopyHost {
  /** The copy is open, or open again. */
  onOpened(copy: Copy): void
}

export class CopySlot {
  readonly #options: CopySlotOptions
  readonly #host: CopySlotHost
  readonly #firstCopy: FirstCopySlot
  #copy: Copy | undefined

  constructor(options: CopySlotOptions, host: CopySlotHost) {
    this.#options = options
    this.#host = host
    this.#firstCopy = new FirstCopySlot(options.stateFolder, options.ops, options.log)
  }

  /** The whole copy, if there is one. */
  get copy(): Copy | undefined {
    return this.#copy
  }

  /**
   * Whether a file that may be a copy lies at `path`, before anything is touched. Throws NOT_A_COPY or STRAY_WAL for what
   * can be none; `cluster` is the one that this node belongs to, '' before the first copy.
   */
  static look(path: string, cluster: string): boolean {
    if (!existsSync(path)) {
      if (existsSync(`${path}-wal`)) throw new WalcastError('STRAY_WAL', { path: `${path}-wal` })
      return false
    }
    if (cluster === '' || headerPageSize(inspectDatabase(path)) === 0)
      throw new WalcastError('NOT_A_COPY', { path })
    return true
  }

  /** Opens the file that is there. It is a copy of ours only when a position was recorded for it; a first copy that was cut leaves none. */
  async adopt(): Promise<void> {
    const { positions, path } = this.#options
    if (positions.known.length === 0) {
      positions.close(false)
      throw new WalcastError('NOT_A_COPY', { path })
    }
    this.#firstCopy.tidy()
    await this.#open()
  }

  /** Goes on with what this process has open. */
  async takeOver(held: HeldDatabase): Promise<void> {
    this.#copy = await Copy.takeOver(this.#options, this.#host, held)
    this.#host.onOpened(this.#copy)
  }

  /** Gives up the whole copy to the engine of another role. Undefined, with everything closed, when there is none. */
  async handOver(): Promise<HeldDatabase | undefined> {
    if (this.#copy) return this.#copy.handOver()
    await this.close()
    return undefined
  }

  /** Gets ready to take in pages; gives the checksums of those that are there. Throws STOPPING when it is closed meanwhile. */
  async prepare(pageSize: number): Promise<PageSums> {
    this.#copy?.applier.discardBatch()
    // The file is there already when opening it failed after it was published.
    if (!this.#copy && existsSync(this.#options.path)) await this.#open()
    if (!this.#copy) await this.#firstCopy.open(pageSize)
    const sums = this.#copy?.applier.sums ?? this.#firstCopy.current?.sums
    if (!sums) throw new WalcastError('STOPPING')
    return sums
  }

  addPages(pages: Body<'pages'>, payload: Buffer): void | Promise<void> {
    if (!this.#copy) return this.#firstCopy.current?.addPages(pages, payload)
    this.#copy.applier.addPages(pages, payload)
  }

  /** Takes the last pages, verifies the whole and makes it visible. Throws STATE_MISMATCH. */
  async finish(synced: Body<'synced'>, payload: Buffer): Promise<void> {
    if (this.#copy) return this.#copy.applier.finishSync(synced, payload)
    const { path, positions, access } = this.#options
    await this.#firstCopy.publish(synced, payload, path, access.firstMode, (checksum) => {
      const { epoch, incarnation, txid, dbPages: pages } = synced
      const nowhere = { salt1: 0, salt2: 0, frame: 0, s0: 0, s1: 0 }
      positions.append({ epoch, incarnation, txid, checksum, ...nowhere, pages })
      positions.sync()
    })
    await this.#open()
  }

  /** Removes what has come of a first copy, so that the next begins with nothing. */
  abandonFirst(): void {
    void this.#firstCopy.abandon()
  }

  async close(): Promise<void> {
    await this.#firstCopy.close()
    await this.#copy?.close()
    this.#options.positions.close(true)
  }

  async #open(): Promise<void> {
    this.#copy = await Copy.open(this.#options, this.#host, this.#options.positions.known)
    this.#host.onOpened(this.#copy)
  }
}
