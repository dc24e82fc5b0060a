/** How a copy becomes read-only for every program that has it open. */
import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { PageReader } from '../sqlite/pageReader.ts'
import type { WalWriter } from '../sqlite/walWriter.ts'

/**
 * SQLite opens a database of a later write version read-only:
 * https://sqlite.org/fileformat2.html#file_format_version_numbers.
 */
const WRITE_VERSION_AT = 18
const READ_ONLY_VERSION = 3

/** Appends a frame from which on SQLite only reads the database. `size`: its size in pages. */
export async function refuseWrites(
  pages: CheckedPages,
  writer: WalWriter,
  size: number,
): Promise<void> {
  const image = Buffer.from(await new PageReader(pages).read(1))
  image[WRITE_VERSION_AT] = READ_ONLY_VERSION
  writer.append({ count: 1, number: () => 1, page: () => image }, size)
  writer.publish(size)
}
