/** Rows of a bundle, read by a process of its own (keptReadProgram.ts), within bounds. */
import { keyOf, WalcastError } from '../../errors.ts'
import { runKeptProgram } from './keptProgram.ts'
import type { KeptPage, KeptSql } from './keptRow.ts'

/** Of one script. */
export const MAX_SQL_CHARS = 1024 * 1024
/** A character of a script or a cell may take six bytes in JSON. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const TIMEOUT_MS = 60_000

export interface PageAsked {
  /** Null: of all tables. */
  readonly table: string | null
  /** The row that it begins with: 0, or `next` of another page. */
  readonly from: number
  readonly limit: number
}

export interface SqlAsked {
  /** Null: of all tables. Without meaning when rows are named. */
  readonly table: string | null
  /** Empty: all. */
  readonly rows: readonly number[]
  /** Whether rows with other values are overwritten. */
  readonly updates: boolean
}

interface Bundle {
  /** Path of its folder. */
  readonly folder: string
  /** Path of this node's database. */
  readonly live: string
}

export type ReadOrder =
  | (Bundle & PageAsked & { readonly type: 'page' })
  | (Bundle & SqlAsked & { readonly type: 'sql' })

export function readPage(bundle: Bundle, asked: PageAsked, signal: AbortSignal): Promise<KeptPage> {
  return read({ type: 'page', ...bundle, ...asked }, signal)
}

export function readSql(bundle: Bundle, asked: SqlAsked, signal: AbortSignal): Promise<KeptSql> {
  return read({ type: 'sql', ...bundle, ...asked }, signal)
}

/** Throws what the program reports, CALLER_GONE, or BUNDLE_SLOW. */
async function read<T>(order: ReadOrder, signal: AbortSignal): Promise<T> {
  const limits = { signal, timeoutMs: TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES }
  try {
    const args = [JSON.stringify(order)]
    return await runKeptProgram<T>('replica/diverged/keptReadProgram', args, limits)
  } catch (error) {
    const cause = error instanceof WalcastError ? error.cause : undefined
    if (signal.aborted) throw new WalcastError('CALLER_GONE', { wanted: 'rows of a bundle' }, error)
    if (keyOf(error) === 'INTERNAL' && Object(cause).killed === true)
      throw new WalcastError('BUNDLE_SLOW', { seconds: TIMEOUT_MS / 1000 }, error)
    throw error
  }
}
