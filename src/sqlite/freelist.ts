/** The freelist of a database: https://sqlite.org/fileformat2.html#the_freelist. */
import type { ReadPage } from './btreeWalk.ts'
import type { DatabaseHeader } from './databaseHeader.ts'
import type { PageSet } from './pageSet.ts'

/**
 * Adds the pages of the freelist, trunks and leaves, to `into`, which was empty. Reads only the
 * trunks, each once. False when it is damaged: what was read before counts. `pages` is the size of
 * the database.
 */
export async function readFreelist(
  { freelist, usable }: Pick<DatabaseHeader, 'freelist' | 'usable'>,
  pages: number,
  readPage: ReadPage,
  into: PageSet,
): Promise<boolean> {
  let isSound = true
  const isPage = (page: number) => page > 1 && page <= pages
  for (let trunk = freelist; trunk !== 0; ) {
    if (!isPage(trunk) || into.has(trunk)) return false
    into.add(trunk)
    const image = await readPage(trunk)
    const leaves = image.readUInt32BE(4)
    if (leaves > usable / 4 - 2) return false
    for (let i = 0; i < leaves; i++) {
      const leaf = image.readUInt32BE(8 + 4 * i)
      if (isPage(leaf)) into.add(leaf)
      else isSound = false
    }
    trunk = image.readUInt32BE(0)
  }
  return isSound
}
