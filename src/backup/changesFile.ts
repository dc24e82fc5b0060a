/** Puts records of the log into a place, as one archive file of changes or several. */
import type { ArchiveHeader } from '../../proto/archiveHeader.ts'
import { formatArchiveName } from '../../proto/archiveNames.ts'
import { decode, payloadPage, payloadPageNumber } from '../../proto/codec.ts'
import { WalcastError } from '../errors.ts'
import { ArchiveFileWriter, NO_STATE, type PageImage, type PointOf } from './archiveFileWriter.ts'
import type { BatchLog, LogEntry, LogPlace } from './batchLog.ts'
import type { ChangesRun, RunPart } from './changesRun.ts'
import { type FileMark, headerOf } from './fileHeader.ts'
import type { PlaceFile } from './placedFile.ts'
import type { Append } from './stores/store.ts'

/** Of a batch as far as it is in this file. */
interface Batch {
  readonly point: PointOf
  readonly images: readonly PageImage[]
}

/**
 * Puts the batches of a run into a place, as one file or several. Gives the name of the last one.
 * Throws INTERNAL when the records are not there any more, and what `place` throws.
 */
export async function storeRun(
  place: PlaceFile,
  log: BatchLog,
  { from, to, parts }: ChangesRun,
  mark: FileMark,
): Promise<string> {
  const pageSize = await pageSizeAt(log, parts[0])
  const header = headerOf(mark, { kind: 'changes', at: to, from, pageSize })
  let last = ''
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1
    last = formatArchiveName({ kind: 'changes', level: 0, from, to, part: i + 1, isLast })
    const end = { txid: to.txid, checksum: part.isOpen ? NO_STATE : to.checksum }
    await place(last, end, (append) => writeChanges(log, part, header, mark, append))
  }
  return last
}

async function writeChanges(
  log: BatchLog,
  part: RunPart,
  header: ArchiveHeader,
  { recipients, keys }: Pick<FileMark, 'recipients' | 'keys'>,
  append: Append,
): Promise<void> {
  const writer = await ArchiveFileWriter.begin(header, append, recipients, keys, 'least')
  for await (const { point, images } of batchesIn(log, part)) await writer.add(point, images)
  await writer.end(part)
}

/** Page size of the database that the batches are of. */
async function pageSizeAt(log: BatchLog, { at }: RunPart): Promise<number> {
  for await (const entry of log.batches(at)) return (await batchOf(entry)).body.pageSize
  throw endsWithin()
}

/** Throws INTERNAL when the records are not there any more: the log was full. */
async function* batchesIn(log: BatchLog, { at, entries, end }: RunPart): AsyncGenerator<Batch> {
  let pages = new Map<number, Buffer>()
  let left = entries
  for await (const entry of log.batches(at)) {
    if (left === entries && !isSamePlace(entry.at, at)) break
    const size = addPages(pages, await batchOf(entry))
    left--
    if (left === 0 && !isSamePlace(entry.next, end)) break
    if (!entry.head.isLast && left > 0) continue
    yield { point: pointOf(entry, size, pages), images: imagesOf(pages, size) }
    pages = new Map()
    if (left === 0) return
  }
  throw endsWithin()
}

function isSamePlace(a: LogPlace, b: LogPlace): boolean {
  return a.segment === b.segment && a.offset === b.offset
}

function endsWithin(): WalcastError {
  return new WalcastError('INTERNAL', { detail: 'the log ends within a file of the archive' })
}

async function batchOf(entry: LogEntry) {
  const message = decode(await entry.message())
  if (message.type === 'batch') return message
  throw new WalcastError('INTERNAL', { detail: `a ${message.type} is in the log of batches` })
}

/** The newest image of each page. Gives the size of the database in pages, 0 before the end. */
function addPages(
  pages: Map<number, Buffer>,
  { body, payload }: Awaited<ReturnType<typeof batchOf>>,
): number {
  for (let i = 0; i < body.pages; i++)
    pages.set(payloadPageNumber(payload, i), payloadPage(payload, i, body.pages, body.pageSize))
  return body.dbPages
}

function pointOf({ head }: LogEntry, size: number, pages: ReadonlyMap<number, Buffer>): PointOf {
  const { to, timeMs, isLast } = head
  return {
    txid: to.txid,
    checksum: isLast ? to.checksum : NO_STATE,
    timeMs,
    pages: isLast ? size : [...pages.keys()].reduce((a, b) => Math.max(a, b), 0),
  }
}

/** A page that a later message of the batch has cut off is not part of the database. */
function imagesOf(pages: ReadonlyMap<number, Buffer>, size: number): PageImage[] {
  return [...pages]
    .filter(([number]) => size === 0 || number <= size)
    .map(([number, bytes]) => ({ number, bytes }))
    .sort((a, b) => a.number - b.number)
}
