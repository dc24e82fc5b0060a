/** Applies files of an archive to a database that is open: each file is one step for readers. */
import { WalcastError } from '../../errors.ts'
import { closeSync, constants, openSync, readSync } from '../../platform/files.ts'
import type { ArchiveFile } from '../archiveFile.ts'
import type { Restored } from '../restore.ts'
import type { FollowedFile } from './followedFile.ts'

/** What became visible at once. */
export interface FollowStep {
  readonly incarnation: string
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  /** When the leader noticed the commit, ms since 1970. */
  readonly timeMs: number
  /** Archived positions that it goes over, itself included. */
  readonly positions: number
  /** Pages that were written. */
  readonly pages: number
}

/** Of a read from a restored file. */
const READ_BYTES = 1024 * 1024

export class Steps {
  readonly #file: FollowedFile
  readonly #requireGoing: () => void
  #positions = 0
  /** The file before ended inside a position. */
  #isOpen = false

  /** `requireGoing` throws when the work is to end. */
  constructor(file: FollowedFile, requireGoing: () => void) {
    this.#file = file
    this.#requireGoing = requireGoing
  }

  /**
   * Takes the next file of a way. Undefined when what it has is already there, or is only a part of
   * a position. Throws ARCHIVE_GAP and ARCHIVE_MISMATCH: nothing has changed then.
   */
  async take(archive: ArchiveFile): Promise<FollowStep | undefined> {
    this.#requireNext(archive)
    const { points, isOpen, header } = archive
    const { txid: from } = this.#file.at
    // What is before the position, or is it, is in the state already.
    const first = points.findIndex(({ txid }) => txid > from)
    if (first < 0) return undefined
    for await (const image of archive.images(first, points.length - 1)) {
      this.#requireGoing()
      await this.#file.put(image)
    }
    this.#positions += points.length - first - (isOpen ? 1 : 0)
    this.#isOpen = isOpen
    if (isOpen) return undefined
    const { txid, checksum, pages, timeMs } = points[points.length - 1]
    const { epoch, incarnation } = header
    const to = { epoch, incarnation, txid, checksum, pages }
    const written = await this.#file.commit(to)
    const step = { ...to, timeMs, positions: this.#positions, pages: written }
    this.#positions = 0
    return step
  }

  /** Forgets a step that is under way. */
  async discard(): Promise<void> {
    this.#positions = 0
    this.#isOpen = false
    await this.#file.discard()
  }

  /** A restored database becomes the next state: what differs is one step. */
  async takeAll(path: string, restored: Restored): Promise<FollowStep> {
    const { pageSize, pages, epoch, incarnation, txid, checksum, timeMs } = restored
    this.#requirePageSize(pageSize)
    await this.discard()
    // SQLite has it not open in this process.
    const fd = openSync(path, constants.O_RDONLY)
    try {
      const run = Math.floor(READ_BYTES / pageSize)
      for (let first = 1; first <= pages; first += run) {
        this.#requireGoing()
        const count = Math.min(run, pages - first + 1)
        const bytes = Buffer.alloc(count * pageSize)
        readSync(fd, bytes, 0, bytes.length, (first - 1) * pageSize)
        for (let i = 0; i < count; i++)
          await this.#file.put({
            number: first + i,
            bytes: bytes.subarray(i * pageSize, (i + 1) * pageSize),
          })
      }
    } finally {
      closeSync(fd)
    }
    const written = await this.#file.commit({ epoch, incarnation, txid, checksum, pages })
    return { epoch, incarnation, txid, checksum, timeMs, positions: 1, pages: written }
  }

  #requireNext({ header, points, isOpen, continues }: ArchiveFile): void {
    const { at, checksum } = this.#file
    this.#requirePageSize(header.pageSize)
    const { fromIncarnation, fromTxid, fromChecksum, incarnation } = header
    const gap = (detail: string) =>
      new WalcastError('ARCHIVE_GAP', { name: `the file after ${at.txid}`, detail })
    const isAhead = points.some(({ txid }) => txid > at.txid)
    if (isAhead && (this.#isOpen ? !continues : continues && points[0].txid > at.txid))
      throw gap('a part before it is missing')
    const isHere = fromIncarnation === at.incarnation && fromTxid === at.txid
    const here = points.findIndex(({ txid }) => incarnation === at.incarnation && txid === at.txid)
    const isPart = isOpen && here === points.length - 1
    const found = isHere && !continues ? fromChecksum : isPart ? undefined : points[here]?.checksum
    if (found !== undefined && found !== checksum && !this.#isOpen)
      throw gap(`it has txid ${at.txid} in another state`)
  }

  /** A database in WAL mode keeps its page size for life. */
  #requirePageSize(theirs: number): void {
    const { pageSize, path } = this.#file
    if (theirs === pageSize) return
    throw new WalcastError('RESTORE_REFUSED', {
      path,
      detail: `it has pages of ${pageSize} bytes, and the archive goes on with ${theirs}`,
    })
  }
}
