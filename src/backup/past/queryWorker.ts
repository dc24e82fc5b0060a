/** The thread that answers a query on a past state: it loads SQLite, and waits for the query. */
import { messageOf } from '../../errors.ts'
import { parentPort } from '../../platform/processes.ts'
import type { RawValue } from '../../rowdiff/rowValues.ts'
import type { PageFile } from './pageVfs.ts'
import { PastDatabase } from './pastDatabase.ts'
import { guard } from './queryGuard.ts'
import {
  ANSWERED,
  answerIn,
  BYTES,
  type QueryMessage,
  type QueryStart,
  STATE,
  WAITING,
} from './queryMessages.ts'
import { loadLibrary, type WasmLibrary } from './wasmLibrary.ts'

/** Rows handed over at once: at most so many, or as soon as their values have so many bytes. */
const ROWS_AT_ONCE = 500
const BYTES_AT_ONCE = 1024 * 1024
/** Beside the images that are kept at the other side. */
const CACHE_KIB = 32 * 1024

function tell(message: QueryMessage): void {
  parentPort?.postMessage(message)
}

/** Keeps the images that it got last. */
class AskedPages implements PageFile {
  readonly pageSize: number
  readonly pages: number
  readonly #state: Int32Array
  readonly #images: Uint8Array
  #first = 0
  #count = 0

  constructor({ pageSize, pages, control, images }: QueryStart) {
    this.pageSize = pageSize
    this.pages = pages
    this.#state = new Int32Array(control)
    this.#images = new Uint8Array(images)
  }

  read(page: number): Uint8Array {
    if (page < this.#first || page >= this.#first + this.#count) {
      this.#count = 0
      this.ask({ kind: 'page', page })
      this.#first = page
      this.#count = Atomics.load(this.#state, BYTES) / this.pageSize
    }
    const from = (page - this.#first) * this.pageSize
    return this.#images.subarray(from, this.#count * this.pageSize)
  }

  /** Tells something, and blocks until it is done. */
  ask(message: QueryMessage): void {
    Atomics.store(this.#state, STATE, WAITING)
    tell(message)
    if (answerIn(this.#state) !== ANSWERED) throw new Error('the archive is unreadable')
  }
}

function run(start: QueryStart, library: WasmLibrary): void {
  const pages = new AskedPages(start)
  const db = PastDatabase.open(library, pages)
  db.set('trusted_schema', 'OFF')
  db.set('cache_size', -CACHE_KIB)
  db.set('hard_heap_limit', start.bounds.heapBytes)
  if (start.bounds.valueBytes !== undefined) db.limitValues(start.bounds.valueBytes)
  if (start.bounds.isGuarded) guard(library, db)
  const statement = db.query(start.sql)
  tell({ kind: 'columns', names: statement.columns })
  let rows: RawValue[][] = []
  let bytes = 0
  for (const row of statement.rows()) {
    rows.push(row)
    for (const value of row) bytes += sizeOf(value)
    if (rows.length < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE) continue
    pages.ask({ kind: 'rows', rows })
    rows = []
    bytes = 0
  }
  if (rows.length > 0) pages.ask({ kind: 'rows', rows })
  tell({ kind: 'done' })
}

function sizeOf(value: RawValue): number {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value.length : 8
}

const loaded = loadLibrary()
parentPort?.once('message', async (start: QueryStart) => {
  try {
    run(start, await loaded)
  } catch (error) {
    tell({ kind: 'failed', detail: messageOf(error) })
  }
})
