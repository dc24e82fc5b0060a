/**
 * The first of two passes that make one position of many: it reads the indexes of the files, holds
 * the files to following each other, and finds which of them has the newest image of each page.
 */
import type { ArchiveHeader } from '../../../proto/archiveHeader.ts'
import type { ArchiveName } from '../../../proto/archiveNames.ts'
import type { ArchiveFiles } from '../archiveFiles.ts'
import type { PointOf } from '../archiveFileWriter.ts'
import type { PlannedFile, PlannedPiece } from '../restorePlan.ts'
import { FileChain } from './fileChain.ts'
import { PageOrigins } from './pageOrigins.ts'

/** A file, and the number of its first position among all positions from 1. */
export interface NumberedFile {
  readonly name: ArchiveName
  readonly first: number
  readonly last: number
  /** Its last txid that counts; absent: all count. */
  readonly upTo?: number
}

export interface FoldScan {
  /** In the order of positions; those of a snapshot come first. */
  readonly files: readonly NumberedFile[]
  readonly origins: PageOrigins
  /** The last position. */
  readonly end: { readonly incarnation: string; readonly epoch: number; readonly point: PointOf }
  readonly firstHeader: ArchiveHeader
}

/** Throws ARCHIVE_GAP, ARCHIVE_BROKEN and ARCHIVE_MISSING, which name the file. */
export async function scanForFold(
  archive: ArchiveFiles,
  pieces: readonly PlannedPiece[],
  signal: AbortSignal,
): Promise<FoldScan> {
  const chain = new FileChain(false)
  const files: NumberedFile[] = []
  let origins: PageOrigins | undefined
  let count = 0
  for (const { name, upTo } of pieces.flatMap(filesOf)) {
    signal.throwIfAborted()
    if (upTo !== undefined && chain.hasReached(name, upTo)) continue
    const { file, close } = await archive.open(name, upTo)
    try {
      chain.take(name, file, upTo)
      origins ??= new PageOrigins(file.header.pageSize)
      for (const [i, { pageNumbers, pages }] of file.points.entries()) {
        origins.note(pageNumbers, count + i + 1)
        if (!file.isOpen || i < file.points.length - 1) origins.resize(pages)
      }
      const numbered = { name, first: count + 1, last: count + file.points.length }
      files.push(upTo === undefined ? numbered : { ...numbered, upTo })
      count += file.points.length
    } finally {
      await close()
    }
  }
  if (!origins) throw new RangeError('nothing to fold')
  return { files, origins, end: chain.end, firstHeader: chain.first }
}

function filesOf({ files, upTo }: PlannedPiece): readonly PlannedFile[] {
  return upTo === undefined ? files : files.map((file) => ({ ...file, upTo }))
}
