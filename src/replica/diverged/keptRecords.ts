/**
 * Decodes the rows on the pages of a bundle (see keptFolder.ts), in a process of its own: its reads
 * block.
 */
import { closeSync, openSync, readFileSync } from '../../platform/files.ts'
import type { SchemaEntry } from '../../rowdiff/schemaCopy.ts'
import { schemaEntryOf } from '../../rowdiff/schemaEntry.ts'
import {
  type BtreePage,
  type Cell,
  cellAt,
  DamagedPage,
  parsePage,
} from '../../sqlite/btreePage.ts'
import { type DatabaseHeader, parseHeader } from '../../sqlite/databaseHeader.ts'
import { SCHEMA_ROOT } from '../../sqlite/schemaTrees.ts'
import { decodeRecord, type StoredValue } from '../../sqlite/storedRecord.ts'
import { KeptPages } from './keptPages.ts'

/** A row as a b-tree holds it. */
export interface StoredRow {
  /** Root page of its table. */
  readonly root: number
  /** Undefined in a table WITHOUT ROWID; its values come in the order of the primary key. */
  readonly rowid: bigint | undefined
  readonly values: readonly StoredValue[]
}

/** SQLite's own limit (SQLITE_MAX_LENGTH, https://sqlite.org/limits.html). */
const MAX_RECORD_BYTES = 2_147_483_647

/** Memory: the lists of pages and of trees, and one record. */
export class KeptRecords {
  readonly #fd: number
  readonly #pages: KeptPages
  readonly #trees: readonly string[]
  /** Undefined when page 1 is damaged; then no row decodes. */
  readonly header: DatabaseHeader | undefined
  #damaged = 0

  constructor(folder: string, pageSize: number) {
    this.#fd = openSync(`${folder}/pages.bin`, 'r')
    this.#pages = new KeptPages(readFileSync(`${folder}/pages.txt`, 'latin1'), this.#fd, pageSize)
    this.#trees = readFileSync(`${folder}/trees.txt`, 'latin1').split('\n').filter(Boolean)
    this.header = this.#guarded(() => parseHeader(this.#pages.get(1) ?? Buffer.alloc(pageSize)))
  }

  /** Pages and rows that did not decode, so far. */
  get damaged(): number {
    return this.#damaged
  }

  *schema(): Generator<SchemaEntry, void, void> {
    for (const { root, values } of this.#records()) {
      if (root !== SCHEMA_ROOT) return
      const entry = this.#guarded(() => schemaEntryOf(values, this.header?.encoding ?? 'utf-8'))
      if (entry) yield entry
    }
  }

  *rows(): Generator<StoredRow, void, void> {
    for (const row of this.#records()) if (row.root !== SCHEMA_ROOT) yield row
  }

  close(): void {
    closeSync(this.#fd)
  }

  *#records(): Generator<StoredRow, void, void> {
    const { header } = this
    if (!header) return
    for (const line of this.#trees) {
      const [page, root] = line.split(' ', 2).map(Number)
      const same = new Set(line.split(' ')[2]?.split(',').map(Number))
      const content = this.#guarded(() => this.#parse(page, header.usable))
      for (let i = 0; content && i < content.cells; i++) {
        if (same.has(i)) continue
        const row = this.#guarded(() => this.#row(content, i, root))
        if (row) yield row
      }
    }
  }

  #parse(page: number, usable: number): BtreePage {
    const image = this.#pages.get(page)
    if (!image) throw new DamagedPage(`page ${page} was not kept`)
    return parsePage(page, image, usable)
  }

  #row(content: BtreePage, i: number, root: number): StoredRow {
    const cell = cellAt(content, i)
    const values = decodeRecord(this.#record(cell, content.usable))
    return { root, rowid: content.kind === 'table' ? cell.rowid : undefined, values }
  }

  /** The whole record, including its overflow pages. */
  #record({ local, payloadBytes, overflow }: Cell, usable: number): Buffer {
    if (overflow === 0) return local
    if (payloadBytes > MAX_RECORD_BYTES) throw new DamagedPage(`a record of ${payloadBytes} bytes`)
    const parts = [local]
    let left = payloadBytes - local.length
    for (let page = overflow; left > 0; ) {
      const image = parts.length > this.#pages.size ? undefined : this.#pages.get(page)
      if (!image) throw new DamagedPage(`overflow page ${page} was not kept`)
      const part = image.subarray(4, Math.min(usable, 4 + left))
      parts.push(part)
      left -= part.length
      page = image.readUInt32BE(0)
    }
    return Buffer.concat(parts)
  }

  #guarded<T>(run: () => T): T | undefined {
    try {
      return run()
    } catch (error) {
      if (!(error instanceof DamagedPage)) throw error
      this.#damaged++
      return undefined
    }
  }
}
