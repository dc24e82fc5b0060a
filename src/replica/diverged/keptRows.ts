/**
 * Compares a bundle with the live database, row by row, in a process of its own. The node can end
 * that process at any time, and its locks go with it.
 */
import type { KeptRows } from './keptFolder.ts'
import { runKeptProgram } from './keptProgram.ts'

/** The answer is one short line. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface RowResult {
  readonly rows: KeptRows
  /**
   * Whether the list has every difference: no table was skipped, the schemas agree, all pages are
   * sound, and the list has room for all rows.
   */
  readonly isComplete: boolean
}

export interface RowComparison {
  /** Throws the error that the process reported, or INTERNAL with its output. */
  readonly result: Promise<RowResult>
  stop(): void
}

/**
 * Makes `database.db` and `rows.jsonl` in the bundle `folder` (see keptFolder.ts) from the rows
 * that the database `live` lacks, or that differ there.
 */
export function compareRows(folder: string, live: string): RowComparison {
  const stopped = new AbortController()
  const limits = { signal: stopped.signal, timeoutMs: 0, maxAnswerBytes: MAX_ANSWER_BYTES }
  const args = [folder, live]
  return {
    result: runKeptProgram<RowResult>('replica/diverged/keptRowsProgram', args, limits),
    stop: () => stopped.abort(),
  }
}
