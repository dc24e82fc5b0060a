/**
 * Makes one file of several that follow each other, with every position, every time and every image
 * of them. Pages are streamed: memory is that of one block of each open part, and the page numbers
 * of one file read and of the file written. It removes nothing.
 */
import type { ChangesName } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { ArchiveFile } from '../archiveFile.ts'
import type { ArchiveFiles, OpenedFile } from '../archiveFiles.ts'
import type { PageImage, PointOf } from '../archiveFileWriter.ts'
import { type DatedPiece, keyOf } from '../datedPieces.ts'
import { ContentSums } from './contentSums.ts'
import { FileChain } from './fileChain.ts'
import { requireContent, type Stamp } from './madeFile.ts'
import { newestImages } from './newestImages.ts'

/** Parts of one input, which are open together. */
export const MAX_MERGED_PARTS = 16

interface MergedPoint {
  readonly point: PointOf
  readonly images: AsyncIterable<PageImage>
}

/**
 * Merges `pieces` into the file `name`, and reads it back. Where a file of that name is there, it
 * is compared with the pieces instead. Throws ARCHIVE_GAP, ARCHIVE_BROKEN, ARCHIVE_MISSING,
 * ARCHIVE_MISMATCH, DISK_FULL or WRITE_FAILED; the pieces stay as they are in any case.
 */
export async function mergeChanges(
  files: ArchiveFiles,
  pieces: readonly DatedPiece[],
  name: ChangesName,
  stamp: Stamp,
  signal: AbortSignal,
): Promise<void> {
  const header = await headerOf(files, pieces, stamp)
  let sums = new ContentSums()
  const isOwn = await files.create(
    name,
    header,
    { continues: false, isOpen: false },
    async (writer) => {
      for await (const { point, images } of pointsOf(files, pieces)) {
        signal.throwIfAborted()
        await writer.add(point, sums.through(point, images))
      }
    },
  )
  if (!isOwn) sums = await sumsOf(files, pieces, signal)
  await requireContent(files, [name], sums.digest, { isOwn, txid: name.to.txid, signal })
}

async function headerOf(files: ArchiveFiles, pieces: readonly DatedPiece[], stamp: Stamp) {
  const { file, close } = await files.open(pieces[0].files[0].name)
  await close()
  return { ...file.header, ...stamp }
}

/** Those of the pieces, without writing. */
async function sumsOf(
  files: ArchiveFiles,
  pieces: readonly DatedPiece[],
  signal: AbortSignal,
): Promise<ContentSums> {
  const sums = new ContentSums()
  for await (const { point, images } of pointsOf(files, pieces)) {
    signal.throwIfAborted()
    sums.begin(point)
    for await (const image of images) sums.add(image)
  }
  return sums
}

async function* pointsOf(
  files: ArchiveFiles,
  pieces: readonly DatedPiece[],
): AsyncGenerator<MergedPoint> {
  const chain = new FileChain(true)
  for (const piece of pieces) {
    if (piece.files.length > MAX_MERGED_PARTS)
      throw new WalcastError('ARCHIVE_BROKEN', {
        name: keyOf(piece),
        detail: `it has more than ${MAX_MERGED_PARTS} parts, which are not merged`,
      })
    const opened: OpenedFile[] = []
    try {
      for (const { name } of piece.files) {
        opened.push(await files.open(name))
        chain.take(name, opened[opened.length - 1].file)
      }
      yield* pointsIn(opened.map(({ file }) => file))
    } finally {
      for (const { close } of opened) await close()
    }
  }
}

/** The images of a position that goes over several parts come together again. */
function* pointsIn(parts: readonly ArchiveFile[]): Generator<MergedPoint> {
  let images: AsyncIterable<PageImage>[] = []
  for (const part of parts)
    for (const [i, { pageNumbers: _, ...point }] of part.points.entries()) {
      images.push(part.images(i, i))
      if (part.isOpen && i === part.points.length - 1) continue
      yield { point, images: images.length === 1 ? images[0] : newestImages(images) }
      images = []
    }
}
