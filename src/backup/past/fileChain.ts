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

  /** `file`: the next one. Throws ARCHIVE_GAP. */
  follow(file: ArchiveFile): void {
    this.#requireNext(file)
    const { incarnation } = file.header
    this.#isOpen = file.isOpen
    const last = file.points.findLast((_, i) => isWhole(file, i))
    if (last) this.#at = { incarnation, txid: last.txid, checksum: last.checksum }
  }

  #requireNext({ header, continues }: ArchiveFile): void {
    if (continues !== this.#isOpen) throw gap(header.fromTxid, 'a part before it is missing')
    const at = this.#at
    if (header.kind === 'snapshot') {
      if (at) throw gap(header.fromTxid, 'a snapshot does not follow changes')
      return
    }
    const { fromIncarnation, fromTxid, fromChecksum } = header
    if (!at) throw gap(fromTxid, 'it needs the snapshot before it')
    // The parts of one transaction all begin where the first one does.
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
