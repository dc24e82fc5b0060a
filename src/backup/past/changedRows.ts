/**
 * A small database with the schema of a past state, and those of its rows that lie on some pages.
 * Two of them, of two states and the pages that changed between them, differ in exactly the rows in
 * which the states differ: a row that moved left one changed page for another.
 */
import Database from 'better-sqlite3'
import { closeSync, openSync } from '../../platform/files.ts'
import { RowLoader } from '../../rowdiff/rowLoader.ts'
import { completeSchema, createSchema, type SchemaEntry } from '../../rowdiff/schemaCopy.ts'
import { DamagedPage } from '../../sqlite/btreePage.ts'
import { parseHeader } from '../../sqlite/databaseHeader.ts'
import { readFreelist } from '../../sqlite/freelist.ts'
import { PageSet } from '../../sqlite/pageSet.ts'
import { RowPageSearch } from '../../sqlite/rowPages.ts'
import { SCHEMA_ROOT } from '../../sqlite/schemaTrees.ts'
import type { PastPages } from './pastPages.ts'
import { type PageSource, rowsOn, schemaOf } from './pastRecords.ts'

/**
 * Makes the file `path`. False when some of the rows cannot be told: then the file is of no use.
 * `changed`: numbers of pages, also of such that this state does not have.
 */
export async function makeChangedRows(
  path: string,
  pages: PastPages,
  changed: PageSet,
): Promise<boolean> {
  try {
    const header = parseHeader(await pages.read(1))
    const source = { pages: pages.pages, header, readPage: pages.read }
    const schema: SchemaEntry[] = []
    for await (const entry of schemaOf(source)) schema.push(entry)
    closeSync(openSync(path, 'wx', 0o600))
    createSchema(path, schema, header.encoding)
    const isWhole = await fill(path, source, schema, changed)
    completeSchema(path, schema)
    return isWhole
  } catch (error) {
    if (error instanceof DamagedPage) return false
    throw error
  }
}

async function fill(
  path: string,
  source: PageSource,
  schema: readonly SchemaEntry[],
  changed: PageSet,
): Promise<boolean> {
  const { pages, header, readPage } = source
  const wanted = new PageSet(pages)
  for (const part of changed.parts(4096))
    for (const page of part) if (page <= pages) wanted.add(page)
  const free = new PageSet(pages)
  if (!(await readFreelist(header, pages, readPage, free))) return false
  const names = new Map(
    schema.filter(({ type }) => type === 'table').map(({ root, name }) => [root, name]),
  )
  const search = new RowPageSearch(
    { pages, usable: header.usable, readPage, header, free },
    wanted,
    wanted,
    // All rows of a page are taken, also those that are the same later.
    { readPage, isInUse: () => false },
  )
  const db = new Database(path)
  try {
    db.pragma('synchronous = OFF')
    db.pragma('journal_mode = MEMORY')
    const loader = new RowLoader(db)
    db.exec('BEGIN')
    for await (const { page, root } of search.rowPages()) {
      const table = names.get(root)
      if (root === SCHEMA_ROOT || table === undefined || !loader.has(table)) continue
      for await (const { rowid, values } of rowsOn(source, page))
        loader.insert(table, rowid, values)
    }
    db.exec('COMMIT')
    return search.isComplete && loader.refused === 0
  } finally {
    db.close()
  }
}
