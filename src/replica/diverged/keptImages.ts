/**
 * Writes the pages of a bundle (see keptFolder.ts): their images, and which page holds rows of
 * which table.
 */
import { WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { DamagedPage } from '../../sqlite/btreePage.ts'
import { type DatabaseHeader, parseHeader } from '../../sqlite/databaseHeader.ts'
import { readFreelist } from '../../sqlite/freelist.ts'
import { PageSet } from '../../sqlite/pageSet.ts'
import { RowPageSearch } from '../../sqlite/rowPages.ts'
import { StateCheck } from '../stateCheck.ts'
import { KeptFile } from './keptFile.ts'
import { PageListWriter } from './keptPages.ts'
import { type LastPages, Overwriting, type ResyncedCopy } from './overwriting.ts'

const CHUNK_BYTES = 1024 * 1024

export interface ImageParts {
  readonly copy: ResyncedCopy
  readonly last: LastPages
  readonly ops: FileOps
  readonly signal: AbortSignal
}

/**
 * Writes `trees.txt`, `pages.bin` and `pages.txt` into `folder`. The caller keeps the copy
 * undisturbed. Returns false when some rows on these pages do not decode, because pages are damaged
 * or not what was written. Memory: 1 MiB, and some bits for each page of the database. Throws
 * DISK_FULL, WRITE_FAILED, or STOPPING when `signal` ends it.
 */
export async function writeImages(folder: string, parts: ImageParts): Promise<boolean> {
  const { copy, last, ops } = parts
  const overwriting = await Overwriting.of(copy, last)
  const search = await searchOf(overwriting, copy.applier.pages, last.dbPages)
  await KeptFile.write(`${folder}/trees.txt`, ops, async (file) => {
    if (search) await writeTrees(file, search, parts)
  })
  const kept = await union(overwriting.pages, search?.extra)
  const check = await StateCheck.of(copy.applier.sums, overwriting.pending)
  await KeptFile.write(`${folder}/pages.bin`, ops, (file) =>
    writePages(file, kept, overwriting, check, parts),
  )
  await KeptFile.write(`${folder}/pages.txt`, ops, (file) =>
    writeList(file, kept, overwriting.pages),
  )
  return (search?.isComplete ?? false) && check.isSound
}

/** Undefined when the header of the database is damaged. */
async function searchOf(
  overwriting: Overwriting,
  pagesBefore: number,
  pagesAfter: number,
): Promise<RowPageSearch | undefined> {
  const { before: readPage, pages: held } = overwriting
  const [header, headerAfter] = [headerOf(await readPage(1)), headerOf(await overwriting.after(1))]
  if (!header) return undefined
  const free = new PageSet(pagesBefore)
  const freed = new PageSet(0)
  const isSound = await readFreelist(header, pagesBefore, readPage, free)
  const isSoundAfter =
    !headerAfter || (await readFreelist(headerAfter, pagesAfter, overwriting.after, freed))
  const wanted = await union(held, freed, (page) => page <= pagesBefore && !free.has(page))
  const database = { pages: pagesBefore, usable: header.usable, header, readPage, free }
  const isInUse = (page: number) => page <= pagesAfter && isSoundAfter && !freed.has(page)
  const search = new RowPageSearch(database, wanted, held, { readPage: overwriting.after, isInUse })
  if (!isSound || !isSoundAfter || !headerAfter) search.onDamage()
  return search
}

function headerOf(firstPage: Buffer): DatabaseHeader | undefined {
  try {
    return parseHeader(firstPage)
  } catch (error) {
    if (error instanceof DamagedPage) return undefined
    throw error
  }
}

/** All pages of `a`, and those pages of `b` that `isMeant` accepts. */
async function union(
  a: PageSet,
  b: PageSet | undefined,
  isMeant: (page: number) => boolean = () => true,
): Promise<PageSet> {
  const all = new PageSet(0)
  for await (const part of a.turns()) for (const page of part) all.add(page)
  if (!b) return all
  for await (const part of b.turns()) for (const page of part) if (isMeant(page)) all.add(page)
  return all
}

async function writeTrees(
  file: KeptFile,
  search: RowPageSearch,
  { signal }: ImageParts,
): Promise<void> {
  for await (const { page, root, same } of search.rowPages()) {
    if (signal.aborted) throw new WalcastError('STOPPING')
    await file.line(`${page} ${root}${same.length > 0 ? ` ${same.join(',')}` : ''}`)
  }
}

async function writePages(
  file: KeptFile,
  kept: PageSet,
  overwriting: Overwriting,
  check: StateCheck,
  { copy: { pageSize }, signal }: ImageParts,
): Promise<void> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (const pages of kept.parts(CHUNK_BYTES / pageSize)) {
    if (signal.aborted) throw new WalcastError('STOPPING')
    await overwriting.readAll(pages, chunk)
    for (const [i, page] of pages.entries())
      check.look(page, chunk.subarray(i * pageSize, (i + 1) * pageSize))
    await file.append(chunk.subarray(0, pages.length * pageSize))
  }
}

async function writeList(file: KeptFile, kept: PageSet, overwritten: PageSet): Promise<void> {
  const list = new PageListWriter(file)
  for await (const pages of kept.turns())
    for (const page of pages) await list.add(page, overwritten.has(page))
  await list.end()
}
