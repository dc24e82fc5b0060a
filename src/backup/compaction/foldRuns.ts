/**
 * The second pass: the newest image of each page, each exactly once, in runs of ascending page
 * numbers. A snapshot is read in its order, 32 parts at once. Changes are read in theirs, each
 * block that has a newest image once; they are sorted in memory, 64 MiB at a time. So a small
 * result is one run, and a large one is a run of the snapshot and some of the changes.
 */

import type { ArchiveFiles, OpenedFile } from '../archiveFiles.ts'
import type { PageImage } from '../archiveFileWriter.ts'
import type { FoldScan, NumberedFile } from './foldScan.ts'
import { newestImages } from './newestImages.ts'

/** Parts of a snapshot that are open at once: a block and the page numbers of each. */
const MAX_OPEN = 32
export const SORT_BYTES = 64 * 1024 * 1024

export interface ImageRun {
  /** Images in it. */
  readonly count: number
  /** Ascending by page number. */
  images(): AsyncIterable<PageImage>
}

export interface FoldRuns {
  readonly runs: readonly ImageRun[]
  /** Closes the file of changes that is being read. */
  close(): Promise<void>
}

/** The runs must be read in order, each to its end. `sortBytes`: of images sorted in memory. */
export function foldRuns(archive: ArchiveFiles, scan: FoldScan, sortBytes: number): FoldRuns {
  const { pageSize } = scan.firstHeader
  const base = scan.files.filter(({ name }) => name.kind === 'snapshot')
  const changes = scan.files.slice(base.length)
  const changed = countOf(scan, changes)
  const all = changedImages(archive, scan, changes)
  const sorted = sortedRuns(all, changed, Math.max(1, Math.floor(sortBytes / pageSize)))
  const groups = Array.from({ length: Math.ceil(base.length / MAX_OPEN) }, (_, i) =>
    base.slice(i * MAX_OPEN, (i + 1) * MAX_OPEN),
  )
  const based = groups.map((group) => ({
    count: countOf(scan, group),
    images: () => baseImages(archive, scan, group),
  }))
  const isSmall = based.length === 1 && sorted.length === 1
  const runs = isSmall ? [together(based[0], sorted[0])] : [...based, ...sorted]
  return {
    runs: runs.filter(({ count }) => count > 0),
    close: async () => void (await all.return(undefined)),
  }
}

function countOf({ origins }: FoldScan, files: readonly NumberedFile[]): number {
  const last = files.at(-1)
  return last ? origins.count(files[0].first, last.last) : 0
}

/** They share no page. */
function together(one: ImageRun, other: ImageRun): ImageRun {
  return {
    count: one.count + other.count,
    images: () => newestImages([one.images(), other.images()]),
  }
}

async function* baseImages(
  archive: ArchiveFiles,
  scan: FoldScan,
  group: readonly NumberedFile[],
): AsyncGenerator<PageImage> {
  const opened: OpenedFile[] = []
  try {
    for (const { name } of group) opened.push(await archive.open(name))
    yield* newestImages(opened.map(({ file }, i) => imagesIn(file, scan, group[i])))
  } finally {
    for (const { close } of opened) await close()
  }
}

function sortedRuns(
  all: AsyncGenerator<PageImage>,
  changed: number,
  most: number,
): readonly ImageRun[] {
  return Array.from({ length: Math.ceil(changed / most) }, (_, i) => {
    const count = Math.min(most, changed - i * most)
    return { count, images: () => sortedImages(all, count) }
  })
}

async function* changedImages(
  archive: ArchiveFiles,
  scan: FoldScan,
  changes: readonly NumberedFile[],
): AsyncGenerator<PageImage> {
  for (const numbered of changes) {
    const { file, close } = await archive.open(numbered.name, numbered.upTo)
    try {
      yield* imagesIn(file, scan, numbered)
    } finally {
      await close()
    }
  }
}

/** The images of a file that no later position has. */
function imagesIn(
  file: OpenedFile['file'],
  { origins }: FoldScan,
  { first }: NumberedFile,
): AsyncGenerator<PageImage> {
  return file.images(0, file.points.length - 1, {
    wants: (point, page) => origins.isNewest(page, first + point),
  })
}

/** The next `count` of `all`, which goes on behind them later. */
async function* sortedImages(
  all: AsyncGenerator<PageImage>,
  count: number,
): AsyncGenerator<PageImage> {
  const images: PageImage[] = []
  while (images.length < count) {
    const next = await all.next()
    if (next.done) throw new RangeError('there are fewer images than were counted')
    // What a block gives is part of it: a copy does not keep the whole block.
    images.push({ number: next.value.number, bytes: Buffer.from(next.value.bytes) })
  }
  images.sort((a, b) => a.number - b.number)
  yield* images
}
