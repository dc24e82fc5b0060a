/**
 * The archive files of a store, opened for reading and made anew. The one place where compaction
 * opens and begins files, so that keys are given here alone.
 */
import type { ArchiveHeader, ClearHeader } from '../../proto/archiveHeader.ts'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveEnvelope } from './archiveEnvelope.ts'
import { ArchiveFile } from './archiveFile.ts'
import { ArchiveFileWriter, type FileLinks } from './archiveFileWriter.ts'
import type { FileMark } from './fileHeader.ts'
import type { Store } from './stores/store.ts'

export interface OpenedFile {
  readonly file: ArchiveFile
  readonly close: () => Promise<void>
}

/** For whom files are made, and which encrypted ones can be read all the same. */
export type Sealing = Pick<FileMark, 'recipients' | 'keys'>

export class ArchiveFiles {
  readonly #store: Store
  readonly #sealing: Sealing

  constructor(store: Store, sealing: Sealing = { recipients: undefined }) {
    this.#store = store
    this.#sealing = sealing
  }

  /**
   * `upTo`: the last txid that counts; all do without it. Throws ARCHIVE_MISSING, ARCHIVE_BROKEN
   * and ARCHIVE_LOCKED.
   */
  async open(name: ArchiveName, upTo?: number): Promise<OpenedFile> {
    const source = await this.#store.open(formatArchiveName(name))
    try {
      const whole = await ArchiveFile.open(source, [], this.#sealing.keys)
      const file = upTo === undefined ? whole : whole.upTo(upTo)
      return { file, close: () => source.close() }
    } catch (error) {
      await source.close()
      throw error
    }
  }

  /** False when a file of this name is there already. Throws what `fill` throws. */
  create(
    name: ArchiveName,
    header: ArchiveHeader,
    links: FileLinks,
    fill: (writer: ArchiveFileWriter) => Promise<void>,
  ): Promise<boolean> {
    const { recipients, keys } = this.#sealing
    return this.#store.create(formatArchiveName(name), async (append) => {
      const writer = await ArchiveFileWriter.begin(header, append, recipients, keys)
      await fill(writer)
      await writer.end(links)
    })
  }

  /** The header, which needs no key. Throws ARCHIVE_MISSING and ARCHIVE_BROKEN. */
  async header(name: ArchiveName): Promise<ClearHeader> {
    const source = await this.#store.open(formatArchiveName(name))
    try {
      return (await ArchiveEnvelope.open(source)).header
    } finally {
      await source.close()
    }
  }

  remove(name: ArchiveName): Promise<void> {
    return this.#store.remove(formatArchiveName(name))
  }
}
