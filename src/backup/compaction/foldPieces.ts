/**
 * Makes one position of many, with the last image of each page: a snapshot of a snapshot and the
 * changes after it, or a thinned file of changes alone. No database file is made on the way. A
 * snapshot gets its name only once its pages have given the state checksum of its position.
 *
 * Memory: 4 bytes a page of the database, 64 MiB of sorted images, and the page numbers and a block
 * of each open part. It removes nothing but what it has made itself and found bad.
 */
import type { ArchiveHeader } from '../../../proto/archiveHeader.ts'
import { MAX_IMAGES } from '../../../proto/archiveIndex.ts'
import { type ArchiveName, MAX_PARTS } from '../../../proto/archiveNames.ts'
import { WalcastError } from '../../errors.ts'
import type { ArchiveFiles } from '../archiveFiles.ts'
import type { PageImage } from '../archiveFileWriter.ts'
import type { PlannedPiece } from '../restorePlan.ts'
import { ContentSums } from './contentSums.ts'
import { foldRuns, type ImageRun, SORT_BYTES } from './foldRuns.ts'
import { type FoldScan, scanForFold } from './foldScan.ts'
import { requireContent, type Stamp } from './madeFile.ts'

const NO_CHECKSUM = '0'.repeat(16)
/** Of one part: an upload that fails costs no more. */
const PART_BYTES = 4 * 1024 ** 3
const MAX_PART_BLOCKS = 32_768

export interface FoldOptions {
  readonly stamp: Stamp
  readonly signal: AbortSignal
  /** Images sorted in memory, and in one part: smaller ones in tests. */
  readonly sortBytes?: number
  readonly partBytes?: number
}

interface Part {
  readonly name: ArchiveName
  readonly count: number
  readonly images: AsyncIterator<PageImage>
}

/**
 * Folds `pieces`, which follow each other, into `name`, the place of the last of them, and reads it
 * back. `exists`: all files of `name` are there, and are compared with the pieces. Gives the names
 * of its files; undefined when another process writes them, or died over them. Throws ARCHIVE_GAP,
 * ARCHIVE_BROKEN, ARCHIVE_MISSING, ARCHIVE_MISMATCH, DISK_FULL or WRITE_FAILED.
 */
export async function foldPieces(
  archive: ArchiveFiles,
  pieces: readonly PlannedPiece[],
  name: ArchiveName,
  options: FoldOptions,
  exists?: readonly ArchiveName[],
): Promise<readonly ArchiveName[] | undefined> {
  const { signal, sortBytes = SORT_BYTES } = options
  const scan = await scanForFold(archive, pieces, signal)
  requireAllPages(scan, name)
  const { runs, close } = foldRuns(archive, scan, sortBytes)
  const parts = partsOf(runs, name, imagesInPart(scan, options))
  const sums = new ContentSums()
  const made: ArchiveName[] = []
  try {
    for (const [i, part] of parts.entries()) {
      const isTaken = !exists && !(await writePart(archive, scan, parts, i, sums, options))
      if (isTaken && parts.length > 1) return undefined
      if (isTaken || exists) await drain(scan, part, sums)
      if (!isTaken && !exists) made.push(part.name)
    }
  } catch (error) {
    for (const each of made.toReversed()) await archive.remove(each)
    throw error
  } finally {
    for (const { images } of parts) await images.return?.()
    await close()
  }
  const isOwn = made.length > 0
  const names = exists ?? parts.map((part) => part.name)
  const { txid } = scan.end.point
  await requireContent(archive, names, sums.digest, { isOwn, txid, signal })
  return names
}

function requireAllPages({ origins, end: { point } }: FoldScan, name: ArchiveName): void {
  const missing = name.kind === 'snapshot' ? origins.firstMissing() : 0
  if (missing > 0) throw mismatch(point.txid, `page ${missing} is missing`)
}

/** A part that a crash leaves alone is of no use to anyone, and is cleared away later. */
function writePart(
  archive: ArchiveFiles,
  scan: FoldScan,
  parts: readonly Part[],
  i: number,
  sums: ContentSums,
  { stamp, signal }: FoldOptions,
): Promise<boolean> {
  const { name, count, images } = parts[i]
  const { incarnation, epoch, point } = scan.end
  const isLast = i === parts.length - 1
  const of = { ...point, checksum: isLast ? point.checksum : NO_CHECKSUM }
  const header = headerOf(scan, name, stamp, { incarnation, epoch })
  return archive.create(name, header, { continues: i > 0, isOpen: !isLast }, async (writer) => {
    await writer.add(of, sums.through(of, take(images, count, signal)))
    if (isLast && name.kind === 'snapshot' && sums.state !== point.checksum)
      throw mismatch(point.txid, `the pages give ${sums.state}, and ${point.checksum} was archived`)
  })
}

function headerOf(
  { firstHeader }: FoldScan,
  { kind }: ArchiveName,
  stamp: Stamp,
  place: Pick<ArchiveHeader, 'incarnation' | 'epoch'>,
): ArchiveHeader {
  const from =
    kind === 'snapshot' ? { fromIncarnation: '', fromEpoch: 0, fromTxid: 0, fromChecksum: '' } : {}
  return { ...firstHeader, ...from, ...stamp, ...place }
}

async function drain({ end }: FoldScan, part: Part, sums: ContentSums): Promise<void> {
  sums.begin(end.point)
  for (let i = 0; i < part.count; i++) {
    const next = await part.images.next()
    if (!next.done) sums.add(next.value)
  }
}

async function* take(
  images: AsyncIterator<PageImage>,
  count: number,
  signal: AbortSignal,
): AsyncGenerator<PageImage> {
  for (let i = 0; i < count; i++) {
    if (i % 1024 === 0) signal.throwIfAborted()
    const next = await images.next()
    if (next.done) throw new RangeError('there are fewer images than were counted')
    yield next.value
  }
}

/** Each part takes its images from one run, which it may share with the next one. */
function partsOf(runs: readonly ImageRun[], name: ArchiveName, most: number): readonly Part[] {
  const cut = runs.flatMap((run) => {
    const images = run.images()[Symbol.asyncIterator]()
    return Array.from({ length: Math.ceil(run.count / most) }, (_, i) => ({
      count: Math.min(most, run.count - i * most),
      images,
    }))
  })
  // Changes may change nothing: a position whose pages were freed at once.
  const parts = cut.length > 0 ? cut : [{ count: 0, images: nothing() }]
  if (parts.length > MAX_PARTS)
    throw new RangeError(`${parts.length} parts are more than ${MAX_PARTS}`)
  return parts.map((part, i) => ({
    ...part,
    name: { ...name, part: i + 1, isLast: i === parts.length - 1 },
  }))
}

async function* nothing(): AsyncGenerator<PageImage> {}

function imagesInPart({ firstHeader }: FoldScan, { partBytes = PART_BYTES }: FoldOptions): number {
  const { pageSize, blockPages } = firstHeader
  const byBytes = Math.max(1, Math.floor(partBytes / pageSize))
  return Math.min(MAX_IMAGES, MAX_PART_BLOCKS * blockPages, byBytes)
}

function mismatch(txid: number, detail: string): WalcastError {
  return new WalcastError('ARCHIVE_MISMATCH', { txid, detail })
}
