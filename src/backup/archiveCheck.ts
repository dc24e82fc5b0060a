/** Reads every file of an archive, and checks every checksum in it. */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { keyOf, type WalcastError } from '../errors.ts'
import type { Archive } from './archive.ts'
import type { ArchiveFile } from './archiveFile.ts'
import { isOfOneFile } from './contentFailures.ts'

export interface BadFile {
  readonly name: string
  readonly error: WalcastError
}

export interface CheckedFiles {
  /** The files that are not sound. */
  readonly bad: readonly BadFile[]
  /** Names that were read to the last byte of what they hold, and are sound. */
  readonly sound: readonly ArchiveName[]
  /** Encrypted files that no identity opens: they are stored as they were written. */
  readonly unopened: number
}

/** Throws what the store does. */
export async function checkedFiles(archive: Archive): Promise<CheckedFiles> {
  const bad: BadFile[] = []
  const sound: ArchiveName[] = []
  let unopened = 0
  for (const { name } of archive.files)
    try {
      if (await isReadWhole(archive, name)) sound.push(name)
      else unopened++
    } catch (error) {
      if (!isOfOneFile(error)) throw error
      bad.push({ name: formatArchiveName(name), error })
    }
  return { bad, sound, unopened }
}

/** False for a file of which all bytes were read and none was decrypted. */
async function isReadWhole(archive: Archive, name: ArchiveName): Promise<boolean> {
  try {
    await archive.use(name, readAll)
    return true
  } catch (error) {
    if (keyOf(error) !== 'ARCHIVE_LOCKED') throw error
    await archive.useEnvelope(name, (envelope) => envelope.checkBlocks())
    return false
  }
}

/** Each block is checked as it is read. */
async function readAll(file: ArchiveFile): Promise<void> {
  for await (const _image of file.images(0, file.points.length - 1));
}
