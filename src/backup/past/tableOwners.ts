/**
 * Which table each page of a database belongs to, kept up from position to position: an index
 * counts for its table. A page gets an owner from a page above it. So at each position only the
 * changed pages have to be read again, and all interior pages at the first one.
 *
 * Memory: 4 bytes for each page, and two bits for each while trees are walked.
 */
import {
  type BtreePage,
  cellAt,
  childrenOf,
  DamagedPage,
  parsePage,
} from '../../sqlite/btreePage.ts'
import { BtreeWalk } from '../../sqlite/btreeWalk.ts'
import { type DatabaseHeader, isPointerMap, parseHeader } from '../../sqlite/databaseHeader.ts'
import { readFreelist } from '../../sqlite/freelist.ts'
import { PageSet } from '../../sqlite/pageSet.ts'
import { SCHEMA_ROOT } from '../../sqlite/schemaTrees.ts'
import { type PagesNow, readTreeNames } from './treeNames.ts'

/** Names of no table. */
export const SCHEMA = '(schema)'
export const FREE = '(free)'
export const UNKNOWN = '?'

/** Leaf pages read, in all, to find the row of a page that nothing else tells of. */
const MAX_SEARCHED_LEAVES = 16_384

export class TableOwners {
  readonly #pages: PagesNow
  /** Root page of the tree of each page, 0 where it is not known. */
  #roots = new Uint32Array(0)
  #names: ReadonlyMap<number, string> = new Map()
  #cookie = -1
  #searched = 0

  constructor(pages: PagesNow) {
    this.#pages = pages
  }

  /** How many of the `changed` pages belong to each table, at the position of the pages now. */
  async count(changed: readonly number[]): Promise<Map<string, number>> {
    const first = await this.#pages.read(1)
    const header = parseHeader(first)
    const cookie = first.readUInt32BE(40)
    const isSchemaChanged =
      cookie !== this.#cookie ||
      changed.some((page) => this.#rootOf(page) === SCHEMA_ROOT && page > 1)
    const isFirst = this.#cookie === -1
    this.#fit()
    if (isSchemaChanged) await this.#walkAll(header)
    else await this.#follow(changed, header)
    const free = new PageSet(this.#pages.pages)
    await readFreelist(header, this.#pages.pages, this.#pages.read, free)
    await this.#followOverflow(changed, free, header)
    const counts = new Map<string, number>()
    const hasNewSchema = isSchemaChanged && !isFirst
    for (const page of changed) {
      const name = this.#nameOf(page, free, header, hasNewSchema)
      if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    this.#cookie = cookie
    return counts
  }

  #nameOf(
    page: number,
    free: PageSet,
    header: DatabaseHeader,
    hasNewSchema: boolean,
  ): string | undefined {
    if (free.has(page)) return FREE
    if (header.isAutoVacuum && isPointerMap(page, header)) return undefined
    const root = this.#rootOf(page)
    // The first page has counters too, which tell of no table.
    if (page === 1) return hasNewSchema ? SCHEMA : undefined
    if (root === SCHEMA_ROOT) return SCHEMA
    return this.#names.get(root) ?? UNKNOWN
  }

  #rootOf(page: number): number {
    return page <= this.#roots.length ? this.#roots[page - 1] : 0
  }

  #fit(): void {
    const { pages } = this.#pages
    if (pages <= this.#roots.length) return void this.#roots.fill(0, pages)
    const larger = new Uint32Array(Math.max(pages, Math.ceil(this.#roots.length * 1.5)))
    larger.set(this.#roots)
    this.#roots = larger
  }

  async #walkAll({ usable }: DatabaseHeader): Promise<void> {
    const { pages, read } = this.#pages
    const database = { pages, usable, readPage: read }
    this.#roots.fill(0)
    const walk = new BtreeWalk(database, new PageSet(pages))
    for await (const { page } of walk.pagesOf(SCHEMA_ROOT)) this.#roots[page - 1] = SCHEMA_ROOT
    this.#names = await readTreeNames(this.#pages)
    for (const root of this.#names.keys())
      for await (const { page } of walk.pagesOf(root)) this.#roots[page - 1] = root
  }

  /** A page has a new parent only when that parent was changed. */
  async #follow(changed: readonly number[], header: DatabaseHeader): Promise<void> {
    const isChanged = new Set(changed)
    const queue = changed.filter((page) => this.#rootOf(page) > 0)
    for (let page = queue.pop(); page !== undefined; page = queue.pop()) {
      const root = this.#rootOf(page)
      const content = await this.#parse(page, header)
      if (!content || content.isLeaf) continue
      for (const child of guarded(() => childrenOf(content)) ?? []) {
        if (child < 2 || child > this.#pages.pages || this.#rootOf(child) === root) continue
        this.#roots[child - 1] = root
        if (isChanged.has(child)) queue.push(child)
      }
    }
  }

  /** Overflow pages get the owner of their row, first those of rows on changed pages. */
  async #followOverflow(
    changed: readonly number[],
    free: PageSet,
    header: DatabaseHeader,
  ): Promise<void> {
    for (const page of changed) if (!free.has(page)) await this.#chains(page, header)
    const isUnknown = (page: number) =>
      page > 1 &&
      this.#rootOf(page) === 0 &&
      !free.has(page) &&
      !(header.isAutoVacuum && isPointerMap(page, header))
    let unknown = changed.filter(isUnknown)
    for (let page = 2; unknown.length > 0 && page <= this.#pages.pages; page++) {
      if (this.#rootOf(page) === 0 || free.has(page)) continue
      if (this.#searched++ >= MAX_SEARCHED_LEAVES) return
      if (await this.#chains(page, header)) unknown = unknown.filter(isUnknown)
    }
  }

  /** Whether rows of the page have overflow pages. */
  async #chains(page: number, header: DatabaseHeader): Promise<boolean> {
    const root = this.#rootOf(page)
    const content = root > 0 ? await this.#parse(page, header) : undefined
    if (!content || (content.kind === 'table' && !content.isLeaf)) return false
    const { usable } = header
    const chains = Array.from({ length: content.cells }, (_, i) => {
      const cell = guarded(() => cellAt(content, i))
      if (!cell?.overflow) return undefined
      const { overflow, payloadBytes, local } = cell
      return { overflow, length: Math.ceil((payloadBytes - local.length) / (usable - 4)) }
    }).filter((chain) => chain !== undefined)
    for (const { overflow, length } of chains) {
      let next = overflow
      for (let i = 0; i < length && next > 1 && next <= this.#pages.pages; i++) {
        this.#roots[next - 1] = root
        next = (await this.#pages.read(next)).readUInt32BE(0)
      }
    }
    return chains.length > 0
  }

  async #parse(page: number, { usable }: DatabaseHeader): Promise<BtreePage | undefined> {
    const image = await this.#pages.read(page)
    return guarded(() => parsePage(page, image, usable))
  }
}

/** Undefined where the bytes are not what the format allows: a page may be of another kind now. */
function guarded<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof DamagedPage) return undefined
    throw error
  }
}
