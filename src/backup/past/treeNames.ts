/** The tables that the b-trees of a past state belong to. */
import { DamagedPage } from '../../sqlite/btreePage.ts'
import type { ReadPage } from '../../sqlite/btreeWalk.ts'
import { parseHeader } from '../../sqlite/databaseHeader.ts'
import { schemaOf } from './pastRecords.ts'

/** The pages of a database, of the past or of now. */
export interface PagesNow {
  /** Size of the database. */
  readonly pages: number
  readonly read: ReadPage
}

/** Root page of each table and index: the name of the table. Nothing of a damaged schema. */
export async function readTreeNames(pages: PagesNow): Promise<Map<number, string>> {
  const names = new Map<number, string>()
  try {
    const header = parseHeader(await pages.read(1))
    const source = { pages: pages.pages, header, readPage: pages.read }
    for await (const { root, table } of schemaOf(source)) if (root > 1) names.set(root, table)
  } catch (error) {
    if (!(error instanceof DamagedPage)) throw error
  }
  return names
}
