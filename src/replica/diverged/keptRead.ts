/** Rows of a bundle, read by a process of its own (keptReadProgram.ts), within bounds. */
import { keyOf, WalcastError } from '../../errors.ts'
import { askForAnswer } from '../../platform/childProgram.ts'
import { cancelTimer, setTimer } from '../../platform/time.ts'
import type { KeptPage, KeptSql } from './keptRow.ts'

/** Of one script. */
export const MAX_SQL_CHARS = 1024 * 1024
/** A character of a script or a cell may take six bytes in JSON. */
const LIMITS = { maxChars: 16 * 1024 * 1024, heapMib: 512, ended: 'BUNDLE_ENDED' } as const
const PROGRAM = 'replica/diverged/keptReadProgram'
/** The WAL of the live database cannot be emptied for so long. */
const TIMEOUT_MS = 20_000

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

/** Throws what `askForAnswer` does, but CALLER_GONE or BUNDLE_SLOW in place of STOPPING. */
async function read<T>(order: ReadOrder, gone: AbortSignal): Promise<T> {
  const ending = new AbortController()
  const end = () => ending.abort()
  gone.addEventListener('abort', end)
  if (gone.aborted) end()
  const timer = setTimer(end, TIMEOUT_MS)
  try {
    return await askForAnswer<T>(PROGRAM, order, ending.signal, LIMITS)
  } catch (error) {
    if (keyOf(error) !== 'STOPPING') throw error
    if (gone.aborted) throw new WalcastError('CALLER_GONE', { wanted: 'rows of a bundle' }, error)
    throw new WalcastError('BUNDLE_SLOW', { seconds: TIMEOUT_MS / 1000 }, error)
  } finally {
    cancelTimer(timer)
    gone.removeEventListener('abort', end)
  }
}
