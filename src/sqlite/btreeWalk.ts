/**
 * Walks the b-trees of a database by their interior pages:
 * https://sqlite.org/fileformat2.html#b_tree_pages. Leaf pages are named and not read.
 *
 * Damage ends the branch that it is in and is counted. Only what `readPage` throws is thrown. Each
 * interior page is visited once, so that the walk ends in spite of cycles. Memory: a bit for each
 * page of the database, and the children of one page for each level.
 */
import { type BtreePage, childrenOf, DamagedPage, parsePage } from './btreePage.ts'
import type { PageSet } from './pageSet.ts'

/** Gives the whole image of a page, valid until the next call. */
export type ReadPage = (page: number) => Promise<Buffer>

export interface WalkedDatabase {
  /** Size of the database in pages. */
  readonly pages: number
  /** Bytes of each page that SQLite uses. */
  readonly usable: number
  readonly readPage: ReadPage
}

/** A page of a tree; `content` only of an interior page, valid until the next page is asked for. */
export interface WalkedPage {
  readonly page: number
  readonly content: BtreePage | undefined
}

/** Levels of a tree: SQLite's cursors go no deeper (BTCURSOR_MAX_DEPTH, btreeInt.h). */
const MAX_DEPTH = 20

export class BtreeWalk {
  readonly #database: WalkedDatabase
  /** Interior pages and roots that were visited. */
  readonly #visited: PageSet
  #damaged = 0

  constructor(database: WalkedDatabase, visited: PageSet) {
    this.#database = database
    this.#visited = visited
  }

  /** Places where a tree was not as it should be. */
  get damaged(): number {
    return this.#damaged
  }

  /** Reads and parses one page. Undefined, and counted as damaged, when it cannot be parsed. */
  async parse(page: number): Promise<BtreePage | undefined> {
    const { pages, usable, readPage } = this.#database
    if (page < 1 || page > pages) return this.#onDamage()
    const image = await readPage(page)
    try {
      return parsePage(page, image, usable)
    } catch (error) {
      return this.#onDamage(error)
    }
  }

  /** All pages of the tree at `root`: interior pages first, each before its children. */
  async *pagesOf(root: number): AsyncGenerator<WalkedPage> {
    const depth = await this.#depthOf(root)
    if (depth === undefined) return
    if (depth === 0) return yield { page: root, content: undefined }
    const stack = [{ page: root, depth }]
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { page, depth } = next
      const content = await this.#visit(page)
      if (!content) continue
      // Done before the page is handed out: the caller may read other pages.
      const children = this.#children(content)
      yield { page, content }
      if (depth > 1)
        for (const child of children.reverse()) stack.push({ page: child, depth: depth - 1 })
      else for (const child of children) yield { page: child, content: undefined }
    }
  }

  /** The levels above the leaves. All leaves lie equally deep. */
  async #depthOf(root: number): Promise<number | undefined> {
    let page = root
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const content = await this.parse(page)
      if (!content) return undefined
      if (content.isLeaf) return depth
      page = this.#children(content)[0] ?? 0
    }
    return this.#onDamage()
  }

  async #visit(page: number): Promise<BtreePage | undefined> {
    if (this.#visited.has(page)) return this.#onDamage()
    this.#visited.add(page)
    const content = await this.parse(page)
    return content?.isLeaf ? this.#onDamage() : content
  }

  #children(content: BtreePage): number[] {
    const { pages } = this.#database
    try {
      const children = childrenOf(content)
      const sound = children.filter((child) => child > 1 && child <= pages)
      this.#damaged += children.length - sound.length
      return sound
    } catch (error) {
      this.#onDamage(error)
      return []
    }
  }

  #onDamage(error?: unknown): undefined {
    if (error !== undefined && !(error instanceof DamagedPage)) throw error
    this.#damaged++
    return undefined
  }
}
