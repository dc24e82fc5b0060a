/**
 * What a node kept aside of one database, for people: which bundles, which rows, their SQL, and the
 * end of a bundle. Rows are read by processes of their own. A bundle whose rows are being read or
 * compared is not removed.
 */
import {
  type BundleInfo,
  type BundleShelf,
  MAX_BUNDLE_TABLES,
  type RemovedBundle,
} from '../api/bundles.ts'
import { WalcastError } from '../errors.ts'
import { existsSync } from '../platform/files.ts'
import type { Kept, KeptBundles } from '../replica/diverged/keptFolder.ts'
import { KeptList } from '../replica/diverged/keptList.ts'
import { type PageAsked, readPage, readSql, type SqlAsked } from '../replica/diverged/keptRead.ts'
import type { KeptPage, KeptSql, KeptTable } from '../replica/diverged/keptRow.ts'
import { statusOfKept } from './keptStatus.ts'

export interface BundleShelfParts {
  /** Of the database file. */
  readonly path: string
  /** Undefined while the node starts. */
  bundles(): KeptBundles | undefined
}

export class DatabaseBundles implements BundleShelf {
  readonly #parts: BundleShelfParts
  /** How many requests read a bundle, by its name. */
  readonly #readers = new Map<string, number>()
  /** A list of rows does not change any more once it is there. Of bundles that are there. */
  readonly #tables = new Map<string, readonly KeptTable[]>()

  constructor(parts: BundleShelfParts) {
    this.#parts = parts
  }

  list(): BundleInfo[] {
    const bundles = this.#looked()
    const names = new Set(bundles.kept.map(({ name }) => name))
    for (const name of this.#tables.keys()) if (!names.has(name)) this.#tables.delete(name)
    return bundles.kept.map((kept) => this.#infoOf(bundles, kept)).reverse()
  }

  page(name: string, asked: PageAsked, gone: AbortSignal): Promise<KeptPage> {
    return this.#reading(name, (folder) =>
      readPage({ folder, live: this.#parts.path }, asked, gone),
    )
  }

  sql(name: string, asked: SqlAsked, gone: AbortSignal): Promise<KeptSql> {
    return this.#reading(name, (folder) => readSql({ folder, live: this.#parts.path }, asked, gone))
  }

  remove(name: string, isDryRun: boolean): RemovedBundle {
    const bundles = this.#looked()
    const kept = this.#find(bundles, name)
    if (bundles.isComparing(name))
      throw new WalcastError('BUNDLE_BUSY', { name, detail: 'its rows are being compared' })
    if (this.#readers.has(name))
      throw new WalcastError('BUNDLE_BUSY', { name, detail: 'another request reads its rows' })
    const bundle = this.#infoOf(bundles, kept)
    if (!isDryRun) bundles.remove(kept)
    return { bundle, isRemoved: !isDryRun }
  }

  async #reading<T>(name: string, read: (folder: string) => Promise<T>): Promise<T> {
    const bundles = this.#looked()
    this.#find(bundles, name)
    this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1)
    try {
      return await read(`${bundles.path}/${name}`)
    } finally {
      const left = (this.#readers.get(name) ?? 1) - 1
      if (left > 0) this.#readers.set(name, left)
      else this.#readers.delete(name)
    }
  }

  #looked(): KeptBundles {
    const bundles = this.#parts.bundles()
    if (!bundles) throw new WalcastError('STARTING')
    bundles.look()
    return bundles
  }

  /** Only the name of a bundle that is there becomes part of a path. */
  #find({ kept }: KeptBundles, name: string): Kept {
    const found = kept.find((each) => each.name === name)
    if (!found) throw new WalcastError('BUNDLE_GONE', { name })
    return found
  }

  #infoOf(bundles: KeptBundles, kept: Kept): BundleInfo {
    const { name, about } = kept
    const tables = this.#tablesOf(bundles, kept)
    return {
      ...statusOfKept(kept),
      node: about.node,
      leader: about.leader,
      bytes: bundles.bytes(kept),
      isComplete: about.state === 'compared' && about.isComplete !== false,
      tables: tables.slice(0, MAX_BUNDLE_TABLES),
      tablesLeftOut: Math.max(0, tables.length - MAX_BUNDLE_TABLES),
      isComparing: bundles.isComparing(name),
    }
  }

  #tablesOf({ path }: KeptBundles, { name, about: { state } }: Kept): readonly KeptTable[] {
    const known = this.#tables.get(name)
    if (known) return known
    const file = `${path}/${name}/rows.jsonl`
    if (state !== 'compared' || !existsSync(file)) return []
    const tables = tablesIn(file)
    this.#tables.set(name, tables)
    return tables
  }
}

/** Empty for a list that is damaged: the other bundles are listed all the same. */
function tablesIn(path: string): KeptTable[] {
  try {
    const list = new KeptList(path)
    try {
      return list.tables()
    } finally {
      list.close()
    }
  } catch {
    return []
  }
}
