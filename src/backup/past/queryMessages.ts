/**
 * What the thread of a query and the thread that reads the archive tell each other. The former
 * blocks in SQLite: what it waits for is handed over in shared memory.
 */
import type { RawValue } from '../../rowdiff/rowValues.ts'

/** What a query may use. */
export interface QueryBounds {
  /** Of SQLite's heap. A sort or a temporary table that needs more fails. */
  readonly heapBytes: number
  /** Of one value; undefined: SQLite's own bound. */
  readonly valueBytes?: number
  /** Refuses whatever does not only read: ATTACH, and PRAGMA that sets something. */
  readonly isGuarded?: boolean
}

/** What the thread begins with. */
export interface QueryStart {
  readonly sql: string
  readonly bounds: QueryBounds
  readonly pageSize: number
  readonly pages: number
  /** Three numbers, see `State`. */
  readonly control: SharedArrayBuffer
  /** Images that were asked for. */
  readonly images: SharedArrayBuffer
}

/** Places in `control`. */
export const STATE = 0
/** Of images that were handed over. */
export const BYTES = 1

/** Values of `control[STATE]`. */
export const WAITING = 0
export const ANSWERED = 1
export const FAILED = 2

/**
 * Blocks while `control[STATE]` says WAITING, and gives what it says then. The other thread writes
 * an answer first and wakes this one afterwards: that call may come only when this one waits for
 * the next answer already.
 */
export function answerIn(state: Int32Array): number {
  while (Atomics.load(state, STATE) === WAITING) Atomics.wait(state, STATE, WAITING)
  return Atomics.load(state, STATE)
}

export type QueryMessage =
  /** Waits for images from this page on. */
  | { readonly kind: 'page'; readonly page: number }
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  /** Waits until the rows were taken. */
  | { readonly kind: 'rows'; readonly rows: readonly (readonly RawValue[])[] }
  | { readonly kind: 'failed'; readonly detail: string }
  | { readonly kind: 'done' }

/** Images handed over at once: of neighbours, which a scan reads next. */
export const IMAGE_BYTES = 1024 * 1024
