/**
 * Restores a database from archive files: all positions in turn, up to the one that is wanted. The
 * state checksum of each proves the one before it as well.
 */
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import { keyOf, WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { ArchiveFile, ImageRun } from './archiveFile.ts'
import { RestoredFile } from './restoredFile.ts'
import { type RestoredPosition, type RestoreProgress, readJournal } from './restoreJournal.ts'
import { sideOf } from './sideFile.ts'

export interface Restored extends RestoredPosition {
  readonly pageSize: number
  readonly pages: number
  /** Pages that were written; the others were there already. */
  readonly writtenPages: number
}

/** Opens the next file of a plan. */
export type OpenNext = () => Promise<ArchiveFile>

export interface RestoreSteps {
  /** An old database, of whose pages those are kept that are right. */
  readonly base?: string
  /** Names the plan, so that a restore of the same plan goes on where this one was killed. */
  readonly plan?: string
  /** Bytes of pages that wait in memory. */
  readonly pendingBytes?: number
  /** Called when it goes on where one was interrupted. */
  onResume?(): void
  /** Hears of each position that is proven. */
  onPosition?(at: RestoredPosition): void
  /** Looks at the file while it has no name yet; what it throws ends the restore. */
  approve?(side: string): Promise<void>
  /** Gives the file its name when something is there already. */
  publish?(side: string, restored: Restored): Promise<void>
  /**
   * `publish` uses the file and gives it no name: until then a restore of the same plan may go on
   * with it. It removes what is left.
   */
  readonly isUsedUp?: boolean
}

/**
 * Makes `path` from `files`: a snapshot and changes in order, as `planRestore` gives them. `opens`
 * opens them one after another. Throws ARCHIVE_BROKEN, ARCHIVE_GAP, ARCHIVE_MISMATCH, DISK_FULL or
 * WRITE_FAILED. It leaves nothing behind then but what a later restore can go on with.
 */
export async function restore(
  path: string,
  opens: readonly OpenNext[],
  target: ArchivedPlace,
  ops: FileOps,
  steps: RestoreSteps = {},
): Promise<Restored> {
  const begun = new RestoreRun(path, target, ops, steps)
  const isResumed = await begun.resume()
  try {
    return await begun.run(opens)
  } catch (error) {
    const mayBeStale = ['ARCHIVE_MISMATCH', 'ARCHIVE_GAP'].includes(keyOf(error) ?? '')
    if (!isResumed || !mayBeStale) throw error
  }
  // An archive that has changed since, perhaps.
  return new RestoreRun(path, target, ops, steps).run(opens)
}

function isOfArchive(error: unknown): boolean {
  return keyOf(error)?.startsWith('ARCHIVE_') === true
}

class RestoreRun {
  readonly #path: string
  readonly #target: ArchivedPlace
  readonly #ops: FileOps
  readonly #steps: RestoreSteps
  #file: RestoredFile | undefined
  #first: ArchiveHeader | undefined
  /** What is left of the last run of changes is not for the target. */
  #hasPassed = false
  /** The position of which only a part is there; undefined also after a resume within one. */
  #open: ArchivedPlace | undefined
  #progress: RestoreProgress = { file: 0, point: 0, images: 0, at: undefined, isOpen: false }

  constructor(path: string, target: ArchivedPlace, ops: FileOps, steps: RestoreSteps) {
    this.#path = path
    this.#target = target
    this.#ops = ops
    this.#steps = steps
  }

  /** Whether a restore of the same plan has left something to go on with. */
  async resume(): Promise<boolean> {
    const { plan } = this.#steps
    const journal = plan === undefined ? undefined : readJournal(this.#path, plan)
    if (!journal) return false
    this.#file = await RestoredFile.resume(this.#setup(journal.pageSize), journal)
    if (this.#file) this.#progress = journal.progress
    if (this.#file) this.#steps.onResume?.()
    return this.#file !== undefined
  }

  async run(opens: readonly OpenNext[]): Promise<Restored> {
    try {
      for (const open of opens.slice(this.#progress.file)) {
        if (this.#isThere || this.#hasPassed) break
        await this.#take(await open())
      }
      return await this.#end()
    } catch (error) {
      await this.#file?.abandon(!isOfArchive(error))
      throw error
    }
  }

  async #take(archive: ArchiveFile): Promise<void> {
    const { point: first, images } = this.#progress
    if (first === 0 && images === 0) this.#requireNext(archive)
    const { pageSize } = archive.header
    this.#first ??= archive.header
    this.#file ??= await RestoredFile.begin(this.#setup(pageSize), this.#steps.base)
    // All points at once: a block has pages of several.
    const pages = archive.runs(first, archive.points.length - 1, { skip: images })
    try {
      for (let point = first; point < archive.points.length && !this.#isThere; point++) {
        this.#hasPassed = this.#isPast(archive, point)
        if (this.#hasPassed) break
        await this.#apply(this.#file, archive, point, pages)
      }
    } finally {
      await pages.return(undefined)
    }
    const { at, isOpen, file } = this.#progress
    this.#progress = { file: file + 1, point: 0, images: 0, at, isOpen }
  }

  /** `pages`: of this point and those after it. */
  async #apply(
    file: RestoredFile,
    archive: ArchiveFile,
    number: number,
    pages: AsyncGenerator<ImageRun>,
  ): Promise<void> {
    const { pageNumbers, ...point } = archive.points[number]
    const isOpen = archive.isOpen && number === archive.points.length - 1
    if (!isOpen) file.resize(point.pages)
    while (this.#progress.images < pageNumbers.length) {
      const run = await pages.next()
      if (run.done) break
      const { numbers, bytes } = run.value
      for (let taken = 0; taken < numbers.length; ) {
        const count = file.put(numbers.subarray(taken), bytes.subarray(taken * file.pageSize))
        taken += count
        this.#progress = { ...this.#progress, images: this.#progress.images + count }
        if (file.isFull) await file.flush(this.#progress)
      }
    }
    this.#open = isOpen ? { incarnation: archive.header.incarnation, txid: point.txid } : undefined
    if (!isOpen) file.prove(point)
    const at = isOpen ? this.#progress.at : positionOf(archive, point)
    if (at && !isOpen) this.#steps.onPosition?.(at)
    this.#progress = { ...this.#progress, point: number + 1, images: 0, at, isOpen }
  }

  async #end(): Promise<Restored> {
    const { txid } = this.#target
    const { at, isOpen } = this.#progress
    if (!at || !this.#file || isOpen || !this.#isThere)
      throw new WalcastError('ARCHIVE_GAP', {
        name: `txid ${txid}`,
        detail: at ? `the files end at txid ${at.txid}` : 'no file has it',
      })
    await this.#file.finish(this.#progress)
    const { checksum, pages, writtenPages } = this.#file
    await this.#steps.approve?.(sideOf(this.#path))
    const restored = { ...at, checksum, pages, writtenPages, pageSize: this.#file.pageSize }
    const { publish, isUsedUp } = this.#steps
    const name = publish && ((side: string) => publish(side, restored))
    if (name && isUsedUp) await name(sideOf(this.#path))
    else await this.#file.publish(name)
    return restored
  }

  /** All parts of a position have its txid. */
  #isContinued({ header, continues, points }: ArchiveFile): boolean {
    if (continues !== this.#progress.isOpen) return false
    const open = this.#open
    return !open || (header.incarnation === open.incarnation && points[0].txid === open.txid)
  }

  get #isThere(): boolean {
    const { incarnation, txid } = this.#target
    const { at } = this.#progress
    return at?.incarnation === incarnation && at.txid === txid
  }

  /** The target is then a position that the archive does not have. */
  #isPast({ header, points }: ArchiveFile, point: number): boolean {
    const { incarnation, txid } = this.#target
    return header.incarnation === incarnation && points[point].txid > txid
  }

  #setup(pageSize: number) {
    const { plan, pendingBytes } = this.#steps
    return { path: this.#path, pageSize, ops: this.#ops, plan, pendingBytes }
  }

  /** A file of changes begins where the one before ended, in the same state. */
  #requireNext(archive: ArchiveFile): void {
    const { header } = archive
    const { at } = this.#progress
    const gap = (detail: string) =>
      new WalcastError('ARCHIVE_GAP', { name: `the file after ${header.fromTxid}`, detail })
    if (this.#first && !isSameDatabase(header, this.#first)) throw gap('it is of another database')
    if (!this.#isContinued(archive)) throw gap('a part before it is missing')
    if (header.kind === 'snapshot') {
      if (at) throw gap('a snapshot does not follow changes')
      return
    }
    const { fromIncarnation, fromTxid, fromChecksum } = header
    if (!at) throw gap('it needs the snapshot before it')
    const isNext =
      at.incarnation === fromIncarnation && at.txid === fromTxid && at.checksum === fromChecksum
    if (!isNext) throw gap(`it follows txid ${fromTxid} in another state`)
  }
}

function isSameDatabase(a: ArchiveHeader, b: ArchiveHeader): boolean {
  return a.cluster === b.cluster && a.db === b.db && a.pageSize === b.pageSize
}

function positionOf(
  { header: { incarnation, epoch } }: ArchiveFile,
  { txid, timeMs, checksum }: Omit<RestoredPosition, 'incarnation' | 'epoch'>,
): RestoredPosition {
  return { incarnation, txid, epoch, checksum, timeMs }
}
