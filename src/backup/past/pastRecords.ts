/** Rows decoded from pages of the past, as their b-trees hold them. */

import type { SchemaEntry } from '../../rowdiff/schemaCopy.ts'
import { schemaEntryOf } from '../../rowdiff/schemaEntry.ts'
import {
  type BtreePage,
  type Cell,
  cellAt,
  DamagedPage,
  parsePage,
} from '../../sqlite/btreePage.ts'
import { BtreeWalk, type ReadPage } from '../../sqlite/btreeWalk.ts'
import type { DatabaseHeader } from '../../sqlite/databaseHeader.ts'
import { PageSet } from '../../sqlite/pageSet.ts'
import { SCHEMA_ROOT } from '../../sqlite/schemaTrees.ts'
import { decodeRecord, type StoredValue } from '../../sqlite/storedRecord.ts'

export interface PageSource {
  readonly pages: number
  readonly header: DatabaseHeader
  readonly readPage: ReadPage
}

export interface StoredRow {
  /** Undefined in a table WITHOUT ROWID; its values come in the order of the primary key. */
  readonly rowid: bigint | undefined
  readonly values: readonly StoredValue[]
}

/** SQLite's own limit (SQLITE_MAX_LENGTH, https://sqlite.org/limits.html). */
const MAX_RECORD_BYTES = 2_147_483_647

/** The rows on one page: none on an interior page of a table. Throws DamagedPage. */
export async function* rowsOn(source: PageSource, page: number): AsyncGenerator<StoredRow> {
  const { header, readPage } = source
  // Another page may be read meanwhile.
  const content = parsePage(page, Buffer.from(await readPage(page)), header.usable)
  if (content.kind === 'table' && !content.isLeaf) return
  for (let i = 0; i < content.cells; i++) {
    const cell = cellAt(content, i)
    const values = decodeRecord(await record(source, cell, content))
    yield { rowid: content.kind === 'table' ? cell.rowid : undefined, values }
  }
}

/** The rows of sqlite_schema. Throws DamagedPage. */
export async function* schemaOf(source: PageSource): AsyncGenerator<SchemaEntry> {
  const { pages, header, readPage } = source
  const walk = new BtreeWalk({ pages, usable: header.usable, readPage }, new PageSet(pages))
  for await (const { page, content } of walk.pagesOf(SCHEMA_ROOT)) {
    if (content) continue
    for await (const { values } of rowsOn(source, page))
      yield schemaEntryOf(values, header.encoding)
  }
  if (walk.damaged > 0) throw new DamagedPage('the schema is damaged')
}

/** The whole record, with its overflow pages. */
async function record(
  { pages, readPage }: PageSource,
  { local, payloadBytes, overflow }: Cell,
  { usable }: BtreePage,
): Promise<Buffer> {
  if (overflow === 0) return local
  if (payloadBytes > MAX_RECORD_BYTES) throw new DamagedPage(`a record of ${payloadBytes} bytes`)
  const parts = [local]
  let left = payloadBytes - local.length
  for (let page = overflow; left > 0; ) {
    if (page < 2 || page > pages || parts.length > pages)
      throw new DamagedPage(`there is no overflow page ${page}`)
    const image = await readPage(page)
    const part = Buffer.from(image.subarray(4, Math.min(usable, 4 + left)))
    parts.push(part)
    left -= part.length
    page = image.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}
