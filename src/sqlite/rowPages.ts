/**
 * Finds those of the `wanted` pages of a database that hold rows of tables. It also finds what else
 * has to be read to decode these rows: overflow pages, and the pages of the schema.
 *
 * It reads the interior pages of all b-trees until each wanted page is accounted for, and leaf
 * pages only when they are wanted. A row can change on its overflow pages alone
 * (btreeOverwriteCell, btree.c). So when wanted pages are left over, it reads other leaf pages too,
 * in search of their rows.
 *
 * Damage is never thrown: it makes the result incomplete. Memory: a few bits for each page of the
 * database.
 */
import { type BtreePage, type Cell, cellAt, DamagedPage, parsePage } from './btreePage.ts'
import { BtreeWalk, type ReadPage, type WalkedDatabase } from './btreeWalk.ts'
import { type DatabaseHeader, isPointerMap } from './databaseHeader.ts'
import { PageSet } from './pageSet.ts'
import { SCHEMA_ROOT, type Tree, treeOf } from './schemaTrees.ts'

/** A page that holds rows, and the root page of the table that they are of: 1 for the schema. */
export interface RowPage {
  readonly page: number
  readonly root: number
  /**
   * Places, from 0, of rows that are the same in the next state: their overflow pages are not
   * needed.
   */
  readonly same: readonly number[]
}

/** The state that comes after. */
export interface NextState {
  readonly readPage: ReadPage
  /** Whether a page is there and not free. */
  isInUse(page: number): boolean
}

export interface SearchedDatabase extends WalkedDatabase {
  readonly header: DatabaseHeader
  /** Pages of its freelist: they hold no rows. */
  readonly free: PageSet
}

/** `place` is that of the cell on its page, from 0. */
type PlacedCell = Cell & { readonly place: number }

/** Bytes read of a schema record, whose statement may be long; only its first columns matter. */
const MAX_SCHEMA_BYTES = 1024 * 1024
/**
 * At most so many pages of trees are searched for rows of which only an overflow page changed:
 * nothing is applied meanwhile.
 */
const MAX_SEARCHED_PAGES = 65_536

export class RowPageSearch {
  readonly #database: SearchedDatabase
  readonly #wanted: PageSet
  readonly #held: PageSet
  readonly #next: NextState
  /** Pages that the rows need and that are not `held`. */
  readonly extra = new PageSet(0)
  /** Wanted pages whose use is known. */
  readonly #known: PageSet
  /** Pages that were given out or followed, so that none is twice. */
  readonly #taken: PageSet
  readonly #walk: BtreeWalk
  #left: number
  #isDamaged = false

  /** `held` are those of the wanted pages whose images are kept in any case. */
  constructor(database: SearchedDatabase, wanted: PageSet, held: PageSet, next: NextState) {
    this.#database = database
    this.#wanted = wanted
    this.#held = held
    this.#next = next
    this.#known = new PageSet(database.pages)
    this.#taken = new PageSet(database.pages)
    this.#walk = new BtreeWalk(database, new PageSet(database.pages))
    this.#left = wanted.size
  }

  /** Whether all rows of the wanted pages were found; counts once `rowPages` has ended. */
  get isComplete(): boolean {
    return !this.#isDamaged && this.#walk.damaged === 0
  }

  /** What the caller knows of the database is damaged. */
  onDamage(): void {
    this.#isDamaged = true
  }

  /** Each page once, those of the schema first. */
  async *rowPages(): AsyncGenerator<RowPage> {
    const trees: Tree[] = []
    // Page 1 tells the encoding of all texts.
    this.#need(1)
    for await (const { page } of this.#walk.pagesOf(SCHEMA_ROOT)) {
      this.#account(page)
      const content = await this.#walk.parse(page)
      if (!content?.isLeaf) continue
      yield this.#take(page, SCHEMA_ROOT, [])
      for (const cell of this.#cellsOf(content)) {
        const parts = [cell.local]
        if (cell.overflow > 0) await this.#follow(cell, true, parts)
        this.#guarded(() => {
          const tree = treeOf(Buffer.concat(parts))
          if (tree) trees.push(tree)
        })
      }
    }
    await this.#accountFree()
    for (const tree of trees) {
      if (this.#left === 0) return
      yield* this.#wantedOf(tree)
    }
    yield* this.#owners(trees)
  }

  async *#wantedOf({ root, isTable }: Tree): AsyncGenerator<RowPage> {
    for await (const { page, content } of this.#walk.pagesOf(root)) {
      if (this.#left === 0) return
      if (!this.#wanted.has(page)) continue
      this.#account(page)
      // Rows lie on the leaves of a table, and on all pages of one WITHOUT ROWID.
      if (content?.kind === 'table') continue
      const read = content ?? (await this.#walk.parse(page))
      if (!read || this.#taken.has(page)) {
        this.#isDamaged = true
        continue
      }
      const same = await this.#followAll(page, read, isTable)
      if (isTable) yield this.#take(page, root, same)
    }
  }

  /** Pages with rows whose overflow pages are wanted though they are not themselves. */
  async *#owners(trees: readonly Tree[]): AsyncGenerator<RowPage> {
    if (this.#left === 0) return
    const walk = new BtreeWalk(this.#database, new PageSet(this.#database.pages))
    let searched = 0
    for (const { root, isTable } of trees) {
      for await (const { page, content } of walk.pagesOf(root)) {
        if (this.#left === 0) return
        if (++searched > MAX_SEARCHED_PAGES) break
        if (content?.kind === 'table' || this.#taken.has(page)) continue
        const read = content ?? (await walk.parse(page))
        if (!read || !(await this.#isOwner(read))) continue
        const again = await walk.parse(page)
        const same = again ? await this.#followAll(page, again, isTable) : []
        if (isTable) yield this.#take(page, root, same)
      }
    }
    this.#isDamaged ||= this.#left > 0
  }

  #take(page: number, root: number, same: readonly number[]): RowPage {
    this.#taken.add(page)
    this.#need(page)
    return { page, root, same }
  }

  #need(page: number): void {
    if (!this.#held.has(page)) this.extra.add(page)
  }

  #account(page: number): void {
    if (!this.#wanted.has(page) || this.#known.has(page)) return
    this.#known.add(page)
    this.#left--
  }

  /** Free pages and pointer maps are no part of any tree. */
  async #accountFree(): Promise<void> {
    const { free, header } = this.#database
    for await (const part of this.#wanted.turns())
      for (const page of part)
        if (free.has(page) || (header.isAutoVacuum && isPointerMap(page, header)))
          this.#account(page)
  }

  /**
   * Accounts for the overflow pages of all records of a page, and takes those that are needed when
   * `isKept`. Gives RowPage's `same`.
   */
  async #followAll(page: number, content: BtreePage, isKept: boolean): Promise<number[]> {
    const cells = this.#cellsOf(content)
    const after =
      isKept && cells.some(({ overflow }) => overflow > 0) ? await this.#after(page, content) : []
    const same: number[] = []
    for (const cell of cells) {
      if (cell.overflow === 0) continue
      const isSame =
        after.some((other) => isEqual(cell, other)) && !(await this.#isChanged(cell, false))
      if (isSame) same.push(cell.place)
      else await this.#follow(cell, isKept, undefined)
    }
    return same
  }

  /**
   * The records with overflow pages that the page has in the state after. A free page may still
   * look like one of a b-tree.
   */
  async #after(page: number, { kind, usable }: BtreePage): Promise<Cell[]> {
    if (!this.#held.has(page) || !this.#next.isInUse(page)) return []
    const image = await this.#next.readPage(page)
    try {
      const content = parsePage(page, image, usable)
      if (content.kind !== kind || (kind === 'table' && !content.isLeaf)) return []
      return this.#cellsOf(content).filter(({ overflow }) => overflow > 0)
    } catch (error) {
      // The page is of another kind now.
      if (error instanceof DamagedPage) return []
      throw error
    }
  }

  async #follow(cell: Cell, isKept: boolean, parts: Buffer[] | undefined): Promise<void> {
    let bytes = cell.local.length
    for await (const { page, image } of this.#chain(cell)) {
      if (this.#taken.has(page)) {
        this.#isDamaged = true
        return
      }
      this.#taken.add(page)
      this.#account(page)
      if (isKept) this.#need(page)
      bytes += image.length - 4
      if (parts && bytes < MAX_SCHEMA_BYTES)
        parts.push(Buffer.from(image.subarray(4, this.#database.usable)))
    }
  }

  async #isOwner(content: BtreePage): Promise<boolean> {
    for (const cell of this.#cellsOf(content)) if (await this.#isChanged(cell, true)) return true
    return false
  }

  /**
   * Whether one of the record's overflow pages is wanted, or, with `isLeft`, wanted and not
   * accounted for.
   */
  async #isChanged(cell: Cell, isLeft: boolean): Promise<boolean> {
    if (cell.overflow === 0) return false
    for await (const { page } of this.#chain(cell))
      if (this.#wanted.has(page) && !(isLeft && this.#known.has(page))) return true
    return false
  }

  /**
   * The overflow pages of a record, as many as it needs:
   * https://sqlite.org/fileformat2.html#cell_payload_overflow_pages.
   */
  async *#chain({ overflow, payloadBytes, local }: Cell) {
    const { usable, pages, readPage } = this.#database
    const most = Math.ceil((payloadBytes - local.length) / (usable - 4))
    let page = overflow
    for (let i = 0; i < most; i++) {
      if (page < 2 || page > pages || i > pages) {
        this.#isDamaged = true
        return
      }
      const image = await readPage(page)
      const next = image.readUInt32BE(0)
      yield { page, image }
      page = next
    }
  }

  /** The cells get memory of their own: the image is valid only until another page is read. */
  #cellsOf(content: BtreePage): PlacedCell[] {
    const cells: PlacedCell[] = []
    for (let place = 0; place < content.cells; place++)
      this.#guarded(() => {
        const cell = cellAt(content, place)
        cells.push({ ...cell, local: Buffer.from(cell.local), place })
      })
    return cells
  }

  #guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof DamagedPage)) throw error
      this.#isDamaged = true
    }
  }
}

/** The same row, in the same overflow pages. */
function isEqual(a: Cell, b: Cell): boolean {
  return (
    a.overflow === b.overflow &&
    a.rowid === b.rowid &&
    a.payloadBytes === b.payloadBytes &&
    a.local.equals(b.local)
  )
}
