/** What compaction has in common for each file that it makes. */
import type { ArchiveHeader } from '../../../proto/archiveHeader.ts'
import type { ArchiveName } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { ArchiveFiles } from '../archiveFiles.ts'
import { ContentSums } from './contentSums.ts'

/** Who makes a file, and when. */
export type Stamp = Pick<ArchiveHeader, 'createdMs' | 'node' | 'writer'>

/**
 * The digest of what files hold, read from the store to the last byte. Throws ARCHIVE_BROKEN and
 * ARCHIVE_MISSING.
 */
export async function readBack(
  files: ArchiveFiles,
  names: readonly ArchiveName[],
  signal: AbortSignal,
): Promise<string> {
  const sums = new ContentSums()
  for (const name of names) {
    const { file, close } = await files.open(name)
    try {
      for (const [i, point] of file.points.entries()) {
        signal.throwIfAborted()
        sums.begin(point)
        for await (const image of file.images(i, i)) sums.add(image)
      }
    } finally {
      await close()
    }
  }
  return sums.digest
}

/**
 * Reads files back, and compares them with what belongs into them. `isOwn`: this process has made
 * them, and removes them when they are bad. Throws ARCHIVE_MISMATCH and what `readBack` throws.
 */
export async function requireContent(
  files: ArchiveFiles,
  names: readonly ArchiveName[],
  wanted: string,
  { isOwn, txid, signal }: { isOwn: boolean; txid: number; signal: AbortSignal },
): Promise<void> {
  try {
    const found = await readBack(files, names, signal)
    if (found === wanted) return
    const detail = `the file that compaction made has the content ${found}, and not ${wanted}`
    throw new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
  } catch (error) {
    if (isOwn && !signal.aborted) for (const name of names.toReversed()) await files.remove(name)
    throw error
  }
}
