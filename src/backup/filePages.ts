/** The checksums of the pages in a file that a restore makes. */
import { fstatSync, readAside } from '../platform/files.ts'
import { PageSums, pageSum } from '../sqlite/pageSums.ts'
import type { RestoreJournal } from './restoreJournal.ts'

/** Of one read. */
const READ_BYTES = 1024 * 1024

/** Of all whole pages of the file at `fd`. */
export async function sumsOfFile(fd: number, pageSize: number): Promise<PageSums> {
  const pages = Math.floor(fstatSync(fd).size / pageSize)
  const sums = new PageSums(pageSize, pages)
  const atOnce = Math.floor(READ_BYTES / pageSize)
  const buffer = Buffer.alloc(atOnce * pageSize)
  for (let first = 1; first <= pages; first += atOnce) {
    const { bytesRead } = await readAside(fd, buffer, 0, buffer.length, (first - 1) * pageSize)
    for (let i = 0; (i + 1) * pageSize <= bytesRead; i++) {
      const bytes = buffer.subarray(i * pageSize, (i + 1) * pageSize)
      sums.set(first + i, pageSum(first + i, bytes))
    }
  }
  sums.settle()
  return sums
}

/** Those that count at the progress of a journal. Undefined when the file is too short. */
export function sumsAt(journal: RestoreJournal, disk: PageSums): PageSums | undefined {
  const { pageSize, known, pending, pages } = journal
  const sums = new PageSums(pageSize, pages)
  for (const [first, last] of known) {
    if (last > disk.pages) return undefined
    for (let page = first; page <= last; page++) sums.set(page, disk.get(page))
  }
  for (const [page, sum] of pending) sums.set(page, BigInt(`0x${sum}`))
  sums.resize(pages)
  sums.settle()
  return sums
}
