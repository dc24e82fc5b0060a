/** Whether each of some archive files follows the one before it, in the same state. */
import type { ArchivedPlace } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { ArchiveFile } from '../archiveFile.ts'

interface Reached extends ArchivedPlace {
  readonly checksum: string
}

export class FileChain {
  #at: Reached | undefined
  #isOpen = false

  /** The next file begins where the one before ended. Throws ARCHIVE_GAP. */
  follow(file: ArchiveFile): void {
    const { header, continues, isOpen } = file
    if (continues !== this.#isOpen) throw gap(header.fromTxid, 'a part before it is missing')
    if (header.kind === 'changes') this.#requireNext(file)
    else if (this.#at) throw gap(header.fromTxid, 'a snapshot does not follow changes')
    this.#isOpen = isOpen
  }

  /** The same for a file that may begin earlier, and has the position that was reached. */
  join(file: ArchiveFile): void {
    const at = this.#at
    const same = file.points.find(({ txid }) => txid === at?.txid)
    const isIn = file.header.incarnation === at?.incarnation && same?.checksum === at.checksum
    if (!isIn) this.#requireNext(file)
    this.#isOpen = file.isOpen
  }

  /** All images of this position were taken. */
  reach({ incarnation, txid, checksum }: Reached): void {
    this.#at = { incarnation, txid, checksum }
  }

  #requireNext({ header: { fromIncarnation, fromTxid, fromChecksum } }: ArchiveFile): void {
    const at = this.#at
    if (!at) throw gap(fromTxid, 'it needs the snapshot before it')
    const isNext =
      at.incarnation === fromIncarnation && at.txid === fromTxid && at.checksum === fromChecksum
    if (!isNext) throw gap(fromTxid, `it follows txid ${fromTxid} in another state`)
  }
}

/** Whether the point at this place has all its images with the end of this file. */
export function isWhole({ isOpen, points }: ArchiveFile, place: number): boolean {
  return !isOpen || place < points.length - 1
}

function gap(txid: number, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_GAP', { name: `the file after ${txid}`, detail })
}

/** A point, or a part of one, in its file. */
export interface PointOfFile {
  readonly file: ArchiveFile
  readonly place: number
}

/** All parts of the position whose last part is `place` in the last of `files`. */
export function partsOf(files: readonly ArchiveFile[], place: number): PointOfFile[] {
  const last = files.length - 1
  const parts = [{ file: files[last], place }]
  // The first point of a file may go on with the last one of the file before.
  for (let i = last; i > 0 && parts[0].place === 0 && files[i].continues; i--)
    parts.unshift({ file: files[i - 1], place: files[i - 1].points.length - 1 })
  return parts.filter((part, i) => i === parts.length - 1 || !isWhole(part.file, part.place))
}
