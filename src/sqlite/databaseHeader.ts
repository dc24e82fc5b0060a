/**
 * What the first 100 bytes of a database say of its pages:
 * https://sqlite.org/fileformat2.html#the_database_header. Pure.
 */

import { DamagedPage } from './btreePage.ts'
import { lockPage } from './walFormat.ts'

export interface DatabaseHeader {
  readonly pageSize: number
  /** Bytes of each page that SQLite uses. */
  readonly usable: number
  readonly encoding: TextEncoding
  /** First trunk page of the freelist, 0 when it is empty. */
  readonly freelist: number
  /** Whether there are pointer-map pages. */
  readonly isAutoVacuum: boolean
}

/**
 * The counters in the first page that SQLite never sets back:
 * https://sqlite.org/fileformat2.html#file_change_counter and #schema_cookie. 0 stands for not
 * known.
 */
export interface HeaderCounters {
  readonly changeCounter: number
  readonly schemaCookie: number
}

export const NO_COUNTERS: HeaderCounters = { changeCounter: 0, schemaCookie: 0 }

/** `firstPage`: its first 44 bytes at least. */
export function countersOf(firstPage: Buffer): HeaderCounters {
  return { changeCounter: firstPage.readUInt32BE(24), schemaCookie: firstPage.readUInt32BE(40) }
}

/**
 * Whether one of the counters is below what it was: then the file was not written on from that
 * state.
 */
export function isCountedBack(found: HeaderCounters, before: HeaderCounters): boolean {
  return found.changeCounter < before.changeCounter || found.schemaCookie < before.schemaCookie
}

const ENCODINGS: readonly TextEncoding[] = ['UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be']
/** Below this no page has room for four cells. */
const LEAST_USABLE = 480

/** As it stands there, of the first 18 bytes of a database. */
export function namedPageSize(bytes: Buffer): number {
  const size = bytes.readUInt16BE(16)
  return size === 1 ? 65536 : size
}

/** Throws DamagedPage. */
export function parseHeader(firstPage: Buffer): DatabaseHeader {
  const pageSize = namedPageSize(firstPage)
  const usable = pageSize - firstPage[20]
  const encoding = ENCODINGS[firstPage.readUInt32BE(56)]
  if (pageSize !== firstPage.length || usable < LEAST_USABLE || !encoding)
    throw new DamagedPage('the database header is damaged')
  return {
    pageSize,
    usable,
    encoding,
    freelist: firstPage.readUInt32BE(32),
    isAutoVacuum: firstPage.readUInt32BE(52) !== 0,
  }
}

/**
 * Whether a page of a database with auto-vacuum is a pointer map:
 * https://sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages.
 */
export function isPointerMap(page: number, { usable, pageSize }: DatabaseHeader): boolean {
  const stride = Math.floor(usable / 5) + 1
  const map = page - ((page - 2) % stride)
  return page >= 2 && page === (map === lockPage(pageSize) ? map + 1 : map)
}

/** What `PRAGMA encoding` answers. */
export type TextEncoding = 'UTF-8' | 'UTF-16le' | 'UTF-16be'
