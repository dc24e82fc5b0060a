/**
 * Compares a bundle with the live database, row by row, in a process of its own. The node can end
 * that process at any time, and its locks go with it.
 */
import { askForAnswer } from '../../platform/childProgram.ts'
import type { KeptRows } from './keptFolder.ts'

/** The answer is one short line. A row may have hundreds of megabytes, and is a text there. */
const LIMITS = { maxChars: 16 * 1024, heapMib: 2048, ended: 'BUNDLE_ENDED' } as const

export interface CompareOrder {
  /** Of the bundle. */
  readonly folder: string
  /** Path of this node's database. */
  readonly live: string
}

export interface RowResult {
  readonly rows: KeptRows
  /**
   * Whether the list has every difference: no table was skipped, the schemas agree, all pages are
   * sound, and the list has room for all rows.
   */
  readonly isComplete: boolean
}

export interface RowComparison {
  /** Throws what `askForAnswer` does. */
  readonly result: Promise<RowResult>
  stop(): void
}

/**
 * Makes `database.db` and `rows.jsonl` in the bundle `folder` (see keptFolder.ts) from the rows
 * that the database `live` lacks, or that differ there.
 */
export function compareRows(folder: string, live: string): RowComparison {
  const stopped = new AbortController()
  const order: CompareOrder = { folder, live }
  const program = 'replica/diverged/keptRowsProgram'
  return {
    result: askForAnswer<RowResult>(program, order, stopped.signal, LIMITS),
    stop: () => stopped.abort(),
  }
}
