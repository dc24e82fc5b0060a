/**
 * What a restore has done so far, in a file beside the one that it makes (`FILE-restoring.json`).
 * It makes a restore go on that was killed or lost its network. It is believed only when the pages
 * in the file give its state checksum.
 *
 * Before pages are written, the journal names them and the checksums that they have in the state
 * on record. So it holds at every moment: a page that it names may have any content, and is
 * written again; every other page has the content that was proven.
 */

import { MAX_PAGE_NUMBER } from '../../proto/limits.ts'
import { isIncarnation } from '../../proto/lineage.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { readFileSync, statSync } from '../platform/files.ts'
import { requirePlainFile } from '../platform/plainFiles.ts'
import type { PageSums } from '../sqlite/pageSums.ts'
import { isPageSize } from '../sqlite/walFormat.ts'

/** The last position that is whole. */
export interface RestoredPosition {
  readonly incarnation: string
  readonly txid: number
  readonly epoch: number
  /** State checksum, 16 hex digits. */
  readonly checksum: string
  /** When the leader noticed the commit, ms since 1970. */
  readonly timeMs: number
}

/** How far the files of the plan are applied. */
export interface RestoreProgress {
  /** Files that are done, and so the place of the next one. */
  readonly file: number
  /** Positions of it that are done. */
  readonly point: number
  /** Images of the next position that are applied. */
  readonly images: number
  readonly at: RestoredPosition | undefined
  /** Whether what was applied last goes on in the next file. */
  readonly isOpen: boolean
}

export interface RestoreJournal {
  /** Which files and which target: another plan begins anew. */
  readonly plan: string
  readonly progress: RestoreProgress
  readonly pageSize: number
  /** Pages of the database at `progress`. */
  readonly pages: number
  /** XOR of the checksums of all pages that are known, 16 hex digits. */
  readonly state: string
  /** Runs of pages that are known: first and last. */
  readonly known: readonly (readonly [number, number])[]
  /** Pages that are being written, each with its checksum at `progress`, '0' when not known. */
  readonly pending: readonly (readonly [number, string])[]
}

/** Runs past this are not worth a journal: the pages lie scattered. */
const MAX_RUNS = 10_000
const MAX_BYTES = 8 * 1024 * 1024
const FORMAT = 1
const SUM = /^[0-9a-f]{1,16}$/

export function journalOf(path: string): string {
  return `${path}-restoring.json`
}

/** `journal`, and the pages that are about to be written. `disk`: what the file holds of them. */
export function announced(
  journal: RestoreJournal,
  pages: Iterable<number>,
  disk: PageSums,
): RestoreJournal {
  const pending = new Map(journal.pending)
  for (const page of pages) if (!pending.has(page)) pending.set(page, sumText(disk.get(page)))
  return { ...journal, pending: [...pending] }
}

export function sumText(sum: bigint): string {
  return sum.toString(16)
}

/** Nothing is written when it would be too large. Throws DISK_FULL or WRITE_FAILED. */
export async function writeJournal(
  path: string,
  journal: RestoreJournal,
  ops: FileOps,
): Promise<boolean> {
  if (journal.known.length > MAX_RUNS) return false
  const text = JSON.stringify({ format: FORMAT, ...journal })
  if (text.length > MAX_BYTES) return false
  await ops.replace(journalOf(path), text, 'resume')
  return true
}

/** Undefined when there is none of this plan, or one that does not read. Throws STRANGE_FILE. */
export function readJournal(path: string, plan: string): RestoreJournal | undefined {
  const file = journalOf(path)
  requirePlainFile(file)
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found || found.size > MAX_BYTES) return undefined
  const journal = parsed(readFileSync(file, 'utf8'))
  return journal?.plan === plan ? journal : undefined
}

function parsed(text: string): RestoreJournal | undefined {
  let value: Partial<Record<string, unknown>>
  try {
    value = Object(JSON.parse(text))
  } catch {
    return undefined
  }
  return value['format'] === FORMAT && isJournal(value) ? value : undefined
}

function isJournal(value: object): value is RestoreJournal {
  const { plan, progress, pageSize, pages, state, known, pending } = value as RestoreJournal
  return (
    typeof plan === 'string' &&
    isProgress(Object(progress)) &&
    isPageSize(pageSize) &&
    isCount(pages) &&
    pages <= MAX_PAGE_NUMBER &&
    isSum(state) &&
    isPairs(known, (last) => isPage(last)) &&
    isPairs(pending, isSum)
  )
}

function isProgress({ file, point, images, at, isOpen }: RestoreProgress): boolean {
  const isPlace = [file, point, images].every(isCount) && typeof isOpen === 'boolean'
  if (!isPlace || at === undefined) return isPlace
  const { incarnation, txid, epoch, checksum, timeMs } = Object(at) as RestoredPosition
  return (
    typeof incarnation === 'string' &&
    isIncarnation(incarnation) &&
    [txid, epoch, timeMs].every(isCount) &&
    isSum(checksum)
  )
}

function isPairs(value: unknown, isSecond: (second: unknown) => boolean): boolean {
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && isPage(pair[0]) && isSecond(pair[1]))
  )
}

function isSum(value: unknown): boolean {
  return typeof value === 'string' && SUM.test(value)
}

function isPage(value: unknown): boolean {
  return isCount(value) && value >= 1 && value <= MAX_PAGE_NUMBER
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
