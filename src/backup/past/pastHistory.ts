/** What was captured when: the positions of an archive, and the tables that each touched. */
import { keyOf } from '../../errors.ts'
import type { PointOfFile } from './fileChain.ts'
import type { FoundPosition, PastArchive } from './pastArchive.ts'
import type { PastPages, PastPosition } from './pastPages.ts'
import { TableOwners, UNKNOWN } from './tableOwners.ts'

export interface HistoryEntry {
  readonly position: PastPosition
  readonly pageSize: number
  /** Pages that changed. */
  readonly changed: number
  /** How many of them belong to each table; undefined when that was not asked for. */
  readonly tables: ReadonlyMap<string, number> | undefined
}

export interface HistoryOptions {
  /** ms since 1970. */
  readonly sinceMs: number
  readonly untilMs: number
  /** The newest so many positions of that time. */
  readonly limit: number
  readonly hasTables: boolean
}

/** Oldest first. Snapshots come only where no changes lead to their position. */
export async function* pastHistory(
  archive: PastArchive,
  options: HistoryOptions,
): AsyncGenerator<HistoryEntry> {
  const found = await positionsIn(archive, options)
  const walk = new HistoryWalk(archive, options.hasTables)
  for (const each of found) yield await walk.entry(each)
}

async function positionsIn(
  archive: PastArchive,
  { sinceMs, untilMs, limit }: HistoryOptions,
): Promise<FoundPosition[]> {
  const parts: FoundPosition[][] = []
  let count = 0
  for (const part of (await archive.line()).toReversed()) {
    const points = await archive.points(part)
    const inTime = points.filter(
      ({ position: { timeMs } }) => timeMs >= sinceMs && timeMs <= untilMs,
    )
    parts.push(inTime)
    count += inTime.length
    const isBefore = points.length > 0 && points.every(({ position }) => position.timeMs < sinceMs)
    if (count >= limit || isBefore) break
  }
  return parts.reverse().flat().slice(-limit)
}

class HistoryWalk {
  readonly #archive: PastArchive
  readonly #hasTables: boolean
  #pages: PastPages | undefined
  #owners: TableOwners | undefined

  constructor(archive: PastArchive, hasTables: boolean) {
    this.#archive = archive
    this.#hasTables = hasTables
  }

  async entry(found: FoundPosition): Promise<HistoryEntry> {
    const changes = await this.#archive.changesOf(found)
    const numbers = new Set(
      changes.flatMap(({ file, place }) => [...file.points[place].pageNumbers]),
    )
    const { pageSize } = changes[0].file.header
    const tables = this.#hasTables ? await this.#tables(found, changes, [...numbers]) : undefined
    return { position: found.position, pageSize, changed: numbers.size, tables }
  }

  async #tables(
    found: FoundPosition,
    changes: readonly PointOfFile[],
    numbers: readonly number[],
  ): Promise<ReadonlyMap<string, number>> {
    if (!this.#pages || !this.#advance(changes)) {
      this.#pages = await this.#pagesAt(found)
      this.#owners = this.#pages && new TableOwners(this.#pages)
    }
    return (await this.#owners?.count(numbers)) ?? new Map([[UNKNOWN, numbers.length]])
  }

  /** Undefined where no snapshot leads: what changed is known, and not in which tables. */
  async #pagesAt(found: FoundPosition): Promise<PastPages | undefined> {
    try {
      return await this.#archive.pages(found)
    } catch (error) {
      if (keyOf(error) === 'ARCHIVE_GAP') return undefined
      throw error
    }
  }

  /** False where the files do not follow each other. */
  #advance(changes: readonly PointOfFile[]): boolean {
    try {
      for (const { file, place } of changes) this.#pages?.advance(file, place)
      return true
    } catch (error) {
      if (keyOf(error) === 'ARCHIVE_GAP') return false
      throw error
    }
  }
}
