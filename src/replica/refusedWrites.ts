import type { CheckedPages } from '../sqlite/pageCheck.ts'
import { PageReader } from '../sqlite/pageReader.ts'
import type { WalWriter } from '../sqlite/walWriter.ts'

/**
 * A database of a later write version is read-only:
 * https://sqlite.org/fileformat2.html#file_format_version_numbers.
 */
const WRITE_VERSION_AT = 18
const READ_ONLY_VERSION = 3

/** From the next frame on SQLite only reads the database, of `size` pages. */
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
