/** Puts a snapshot that was taken into a place, as one archive file or several. */
import { MAX_IMAGES } from '../../proto/archiveIndex.ts'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { WalcastError } from '../errors.ts'
import { closeSync, constants, openSync, readAside } from '../platform/files.ts'
import { lockPage } from '../sqlite/walFormat.ts'
import { ArchiveFileWriter, NO_STATE, type PageImage } from './archiveFileWriter.ts'
import { type FileMark, headerOf } from './fileHeader.ts'
import type { PlaceFile } from './placedFile.ts'
import type { TakenSnapshot } from './snapshotTaker.ts'
import type { Append } from './stores/store.ts'

/** Pages in one file: about a gigabyte. */
const PART_BYTES = 1024 * 1024 * 1024
const READ_BYTES = 1024 * 1024

interface Part {
  readonly first: number
  readonly last: number
  readonly part: number
  readonly isLast: boolean
}

/** Hears how much of the database is written, in bytes. */
export type OnWriting = (done: number, total: number) => void

/** Gives the name of the last file. */
export async function storeSnapshot(
  place: PlaceFile,
  taken: TakenSnapshot,
  mark: FileMark,
  onWriting: OnWriting = () => {},
): Promise<string> {
  const { incarnation, txid, checksum } = taken.at
  const total = taken.pages * taken.pageSize
  const onPage = (page: number) => onWriting(page * taken.pageSize, total)
  onWriting(0, total)
  let name = ''
  for (const part of partsOf(taken)) {
    name = formatArchiveName({ kind: 'snapshot', incarnation, txid, ...part })
    const end = { txid, checksum: part.isLast ? checksum : NO_STATE }
    await place(name, end, (append) => writePart(taken, part, { mark, append, onPage }))
  }
  return name
}

function partsOf({ pages, pageSize }: TakenSnapshot): Part[] {
  const most = Math.min(MAX_IMAGES, Math.floor(PART_BYTES / pageSize))
  // A database without pages is a file too.
  const count = Math.max(1, Math.ceil(pages / most))
  return Array.from({ length: count }, (_, i) => ({
    first: i * most + 1,
    last: Math.min(pages, (i + 1) * most),
    part: i + 1,
    isLast: i === count - 1,
  }))
}

interface PartWriting {
  readonly mark: FileMark
  readonly append: Append
  /** The pages up to this one are read, and are on their way. */
  onPage(page: number): void
}

async function writePart(
  taken: TakenSnapshot,
  part: Part,
  { mark, append, onPage }: PartWriting,
): Promise<void> {
  const { at, timeMs, pageSize } = taken
  const { first, last, isLast } = part
  const header = headerOf(mark, { kind: 'snapshot', at, pageSize, from: undefined })
  const writer = await ArchiveFileWriter.begin(header, append, mark.recipients)
  const checksum = isLast ? at.checksum : NO_STATE
  await writer.add(
    { txid: at.txid, checksum, timeMs, pages: last },
    pagesOf(taken, first, last, onPage),
  )
  await writer.end({ continues: first > 1, isOpen: !isLast })
}

async function* pagesOf(
  { path, pageSize }: TakenSnapshot,
  first: number,
  last: number,
  onPage: (page: number) => void,
): AsyncGenerator<PageImage> {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    const atOnce = Math.max(1, Math.floor(READ_BYTES / pageSize))
    for (let from = first; from <= last; from += atOnce) {
      const pages = Math.min(atOnce, last - from + 1)
      const images = await readPages(fd, path, from, pages, pageSize)
      for (let i = 0; i < pages; i++)
        if (from + i !== lockPage(pageSize))
          yield { number: from + i, bytes: images.subarray(i * pageSize, (i + 1) * pageSize) }
      onPage(from + pages - 1)
    }
  } finally {
    closeSync(fd)
  }
}

async function readPages(
  fd: number,
  path: string,
  from: number,
  pages: number,
  pageSize: number,
): Promise<Buffer> {
  const images = Buffer.alloc(pages * pageSize)
  const { bytesRead } = await readAside(fd, images, 0, images.length, (from - 1) * pageSize)
  if (bytesRead === images.length) return images
  throw new WalcastError('WRITE_FAILED', { path, detail: 'the copy of the database was cut off' })
}
