/**
 * Holds files to following each other: each begins in the state in which the one before it ended,
 * by position and by state checksum. What does not is never put together.
 */
import type { ArchiveHeader } from '../../../proto/archiveHeader.ts'
import { type ArchiveName, formatArchiveName } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { ArchiveFile } from '../archiveFile.ts'
import type { PointOf } from '../archiveFileWriter.ts'

interface ChainEnd {
  readonly incarnation: string
  readonly epoch: number
  readonly point: PointOf
}

/** What all files of one archive have in common. */
const COMMON = ['cluster', 'db', 'pageSize'] as const

export class FileChain {
  /** Whether all positions must be of one incarnation: a file with several cannot hold others. */
  readonly #isOneIncarnation: boolean
  #first: ArchiveHeader | undefined
  #end: ChainEnd | undefined
  #isOpen = false

  constructor(isOneIncarnation: boolean) {
    this.#isOneIncarnation = isOneIncarnation
  }

  /** The header of the first file. */
  get first(): ArchiveHeader {
    if (!this.#first) throw new RangeError('no file was taken yet')
    return this.#first
  }

  /** The last whole position. */
  get end(): ChainEnd {
    if (!this.#end) throw new RangeError('no position was taken yet')
    return this.#end
  }

  /** Whether an earlier part has all of a position of the file `name`. */
  hasReached(name: ArchiveName, txid: number): boolean {
    const end = this.#end
    const { incarnation } = name.kind === 'snapshot' ? name : name.to
    return end?.incarnation === incarnation && end.point.txid === txid
  }

  /**
   * The next file, which ends at `upTo` in place of where its name says. Throws ARCHIVE_GAP or
   * ARCHIVE_BROKEN, which name it.
   */
  take(name: ArchiveName, file: ArchiveFile, upTo?: number): void {
    const { header, points, continues, isOpen } = file
    this.#requireSameArchive(name, header)
    if (continues !== this.#isOpen) throw gap(name, 'a part before it is missing')
    this.#requireNext(name, header)
    this.#first ??= header
    this.#isOpen = isOpen
    const last = isOpen ? points.at(-2) : points.at(-1)
    if (last) this.#end = { incarnation: header.incarnation, epoch: header.epoch, point: last }
    if (name.isLast) this.#requireNamedEnd(name, upTo)
  }

  #requireSameArchive(name: ArchiveName, header: ArchiveHeader): void {
    const first = this.#first ?? header
    for (const field of COMMON)
      if (first[field] !== header[field])
        throw broken(name, `its ${field} is ${header[field]}, and ${first[field]} in those before`)
    const isOther = first.incarnation !== header.incarnation || first.epoch !== header.epoch
    if (this.#isOneIncarnation && isOther) throw gap(name, 'it is of another incarnation')
  }

  /** The first file of changes begins where its name says. */
  #requireNext(name: ArchiveName, header: ArchiveHeader): void {
    if (header.kind !== name.kind) throw broken(name, 'it holds something else than its name says')
    if (name.kind === 'snapshot') {
      if (this.#end) throw gap(name, 'a snapshot does not follow changes')
      return
    }
    const { fromIncarnation, fromTxid, fromChecksum } = header
    if (this.#end) {
      const { incarnation, point } = this.#end
      if (fromIncarnation !== incarnation || fromTxid !== point.txid)
        throw gap(name, `the files before it end at txid ${point.txid}`)
      if (fromChecksum !== point.checksum)
        throw gap(name, `it follows txid ${fromTxid} in another state`)
    } else if (fromTxid !== name.from.txid || fromIncarnation !== name.from.incarnation)
      throw broken(name, 'it begins at another position than its name says')
  }

  #requireNamedEnd(name: ArchiveName, upTo: number | undefined): void {
    const { txid } = name.kind === 'snapshot' ? name : name.to
    if (this.#isOpen || !this.hasReached(name, upTo ?? txid))
      throw upTo === undefined
        ? broken(name, 'it ends at another position than its name says')
        : gap(name, `it does not have the position ${upTo}, at which another file begins`)
  }
}

function gap(name: ArchiveName, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_GAP', { name: formatArchiveName(name), detail })
}

function broken(name: ArchiveName, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_BROKEN', { name: formatArchiveName(name), detail })
}
