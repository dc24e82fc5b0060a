/**
 * Reads databases to prove them equal, in a process of its own: closing a database file drops every
 * lock that the process holds on it, so no node may do this. `node proof.js live FILE...` reads
 * what any reader sees while the nodes run; `node proof.js stopped FILE...` compares the files of
 * stopped nodes page by page. Sends its answer to its parent.
 */
import Database from 'better-sqlite3'
import { readFileSync } from '../../platform/files.ts'
import { PageSums, pageSum } from '../../sqlite/pageSums.ts'
import { checksumHex } from '../../xxh64.ts'

/** What a reader sees in one read transaction. */
export interface LiveReading {
  readonly integrity: string
  readonly pages: number
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>
}

export interface StoppedFile {
  readonly integrity: string
  readonly pageSize: number
  readonly pages: number
  /** The state checksum, computed from the file. */
  readonly checksum: string
  /** Pages whose bytes differ from those in the first file, or that only one of them has. */
  readonly differingPages: number
  /** The first few of them. */
  readonly firstDiffering: readonly number[]
}

const MAX_NAMED_PAGES = 10

function readLive(path: string): LiveReading {
  const db = new Database(path, { readonly: true, fileMustExist: true })
  db.exec('BEGIN')
  const tables = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all() as string[]
  const count = (table: string) =>
    db
      .prepare(`SELECT count(*) FROM "${table.replaceAll('"', '""')}"`)
      .pluck()
      .get() as number
  const rows = Object.fromEntries(tables.map((table) => [table, count(table)]))
  const reading = {
    integrity: integrityOf(db),
    pages: Number(db.pragma('page_count', { simple: true })),
    rows,
  }
  db.exec('COMMIT')
  db.close()
  return reading
}

function integrityOf(db: Database.Database): string {
  return String(db.pragma('integrity_check', { simple: true }))
}

interface Image {
  readonly bytes: Buffer
  readonly pageSize: number
  readonly integrity: string
}

/**
 * The database file once its WAL, if one is left, is backfilled and emptied. WALs differ by nature
 * (salts, order, what is still in them); the pages that they and the file make up may not differ in
 * a single byte, the header on page 1 included.
 */
function readStopped(path: string): Image {
  const db = new Database(path, { fileMustExist: true })
  const integrity = integrityOf(db)
  const pageSize = Number(db.pragma('page_size', { simple: true }))
  const blocked = db.pragma('wal_checkpoint(TRUNCATE)', { simple: true })
  db.close()
  if (blocked !== 0) throw new Error(`something still has ${path} open`)
  return { bytes: readFileSync(path), pageSize, integrity }
}

function compare(image: Image, model: Image): StoppedFile {
  const { bytes, pageSize, integrity } = image
  const pages = bytes.length / pageSize
  const pageOf = ({ bytes }: Image, page: number) =>
    bytes.subarray((page - 1) * pageSize, page * pageSize)
  const sums = new PageSums(pageSize, pages)
  const differing: number[] = []
  for (let page = 1; page <= Math.max(pages, model.bytes.length / pageSize); page++) {
    if (page <= pages) sums.set(page, pageSum(page, pageOf(image, page)))
    if (!pageOf(image, page).equals(pageOf(model, page))) differing.push(page)
  }
  return {
    integrity,
    pageSize,
    pages,
    checksum: checksumHex(sums.state),
    differingPages: differing.length,
    firstDiffering: differing.slice(0, MAX_NAMED_PAGES),
  }
}

function compareStopped(paths: readonly string[]): StoppedFile[] {
  const images = paths.map(readStopped)
  return images.map((image) => compare(image, images[0]))
}

const [mode, ...paths] = process.argv.slice(2)
process.send?.(mode === 'live' ? paths.map(readLive) : compareStopped(paths))
