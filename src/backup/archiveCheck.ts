/** Reads every file of an archive, and checks every checksum in it. */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import type { WalcastError } from '../errors.ts'
import type { Archive } from './archive.ts'
import type { ArchiveFile } from './archiveFile.ts'
import { isOfOneFile } from './historyPositions.ts'

export interface BadFile {
  readonly name: string
  readonly error: WalcastError
}

/** Those that are not sound. Throws what the store does. */
export async function badFilesOf(archive: Archive): Promise<BadFile[]> {
  const bad: BadFile[] = []
  for (const { name } of archive.files) {
    const error = await errorOf(archive, name)
    if (error) bad.push({ name: formatArchiveName(name), error })
  }
  return bad
}

async function errorOf(archive: Archive, name: ArchiveName): Promise<WalcastError | undefined> {
  try {
    await archive.use(name, readAll)
    return undefined
  } catch (error) {
    if (isOfOneFile(error)) return error
    throw error
  }
}

/** Each block is checked as it is read. */
async function readAll(file: ArchiveFile): Promise<void> {
  for await (const _image of file.images(0, file.points.length - 1));
}
