/**
 * Restores a database from archive files: all positions in turn, up to the one that is wanted. The
 * state checksum of each proves the one before it as well.
 */
import type { ArchivedPlace } from '../../proto/archiveNames.ts'
import { WalcastError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import type { ArchiveFile } from './archiveFile.ts'
import { RestoredFile } from './restoredFile.ts'

export interface Restored extends ArchivedPlace {
  readonly epoch: number
  /** State checksum, 16 hex digits, as recomputed from the restored pages. */
  readonly checksum: string
  /** When the leader noticed the commit, ms since 1970. */
  readonly timeMs: number
}

/**
 * Makes `path` from `files`: a snapshot and changes in order, as `planRestore` gives them. `opens`
 * opens them one after another. Throws ARCHIVE_BROKEN, ARCHIVE_GAP, ARCHIVE_MISMATCH, DISK_FULL or
 * WRITE_FAILED, and then leaves nothing behind.
 */
export async function restore(
  path: string,
  opens: readonly (() => Promise<ArchiveFile>)[],
  target: ArchivedPlace,
  ops: FileOps,
): Promise<Restored> {
  const run = new RestoreRun(path, target, ops)
  try {
    for (const open of opens) await run.take(await open())
    return await run.end()
  } catch (error) {
    run.abandon()
    throw error
  }
}

class RestoreRun {
  readonly #path: string
  readonly #target: ArchivedPlace
  readonly #ops: FileOps
  #file: RestoredFile | undefined
  #at: Restored | undefined
  #isOpen = false
  /** The position is behind: what is left of the last run of changes is not for it. */
  #isPast = false

  constructor(path: string, target: ArchivedPlace, ops: FileOps) {
    this.#path = path
    this.#target = target
    this.#ops = ops
  }

  async take(archive: ArchiveFile): Promise<void> {
    if (this.#isPast) return
    this.#requireNext(archive)
    const { pageSize, incarnation, epoch } = archive.header
    this.#file ??= RestoredFile.begin(this.#path, pageSize, this.#ops)
    for (const [i, point] of archive.points.entries()) {
      const { txid, timeMs, checksum } = point
      this.#isPast = incarnation === this.#target.incarnation && txid > this.#target.txid
      if (this.#isPast) return
      this.#isOpen = archive.isOpen && i === archive.points.length - 1
      await this.#file.apply(point, archive.images(i, i), !this.#isOpen)
      if (!this.#isOpen) this.#at = { incarnation, txid, epoch, checksum, timeMs }
    }
  }

  async end(): Promise<Restored> {
    const { incarnation, txid } = this.#target
    const at = this.#at
    if (!at || !this.#file || this.#isOpen || at.incarnation !== incarnation || at.txid !== txid)
      throw new WalcastError('ARCHIVE_GAP', {
        name: `txid ${txid}`,
        detail: at ? `the files end at txid ${at.txid}` : 'no file has it',
      })
    await this.#file.finish()
    this.#file.publish()
    return { ...at, checksum: this.#file.checksum }
  }

  abandon(): void {
    this.#file?.abandon()
  }

  /** A file of changes begins where the one before ended, in the same state. */
  #requireNext({ header, continues }: ArchiveFile): void {
    const gap = (detail: string) =>
      new WalcastError('ARCHIVE_GAP', { name: `the file after ${header.fromTxid}`, detail })
    if (continues !== this.#isOpen) throw gap('a part before it is missing')
    if (header.kind === 'snapshot') {
      if (this.#at) throw gap('a snapshot does not follow changes')
      return
    }
    const { fromIncarnation, fromTxid, fromChecksum } = header
    const at = this.#at
    if (!at) throw gap('it needs the snapshot before it')
    const isNext =
      at.incarnation === fromIncarnation && at.txid === fromTxid && at.checksum === fromChecksum
    if (!isNext) throw gap(`it follows txid ${fromTxid} in another state`)
  }
}
