/**
 * The archive files of a store, opened for reading and made anew. The one place where compaction
 * opens and begins files, so that keys are given here alone.
 */
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { ArchiveFile } from './archiveFile.ts'
import { ArchiveFileWriter, type FileLinks } from './archiveFileWriter.ts'
import type { Store } from './stores/store.ts'

export interface OpenedFile {
  readonly file: ArchiveFile
  readonly close: () => Promise<void>
}

export class ArchiveFiles {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** `upTo`: the last txid that counts; all do without it. Throws ARCHIVE_MISSING and _BROKEN. */
  async open(name: ArchiveName, upTo?: number): Promise<OpenedFile> {
    const source = await this.#store.open(formatArchiveName(name))
    try {
      const whole = await ArchiveFile.open(source)
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
    return this.#store.create(formatArchiveName(name), async (append) => {
      const writer = await ArchiveFileWriter.begin(header, append)
      await fill(writer)
      await writer.end(links)
    })
  }

  remove(name: ArchiveName): Promise<void> {
    return this.#store.remove(formatArchiveName(name))
  }
}
