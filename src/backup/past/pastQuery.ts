/**
 * A query on a past state, answered in a thread of its own: SQLite's file interface blocks, and an
 * archive may be far away. The thread asks for the pages that it needs, and this side reads them.
 */
import { WalcastError } from '../../errors.ts'
import { Worker } from '../../platform/processes.ts'
import { cancelTimer, setTimer } from '../../platform/time.ts'
import { programPath } from '../../programs.ts'
import type { RawValue } from '../../rowdiff/rowValues.ts'
import type { PastPages } from './pastPages.ts'
import {
  ANSWERED,
  BYTES,
  FAILED,
  IMAGE_BYTES,
  type QueryBounds,
  type QueryMessage,
  type QueryStart,
  STATE,
} from './queryMessages.ts'

/** https://sqlite.org/fileformat2.html#the_database_header: 0 before the first table is made. */
const ENCODING_AT = 56
const UTF8 = 1

/** Takes the answer. The query goes on once a promise has resolved. */
export interface RowSink {
  columns(names: readonly string[]): void
  /** Texts are bytes in the encoding UTF-8. False: no more rows are wanted. */
  rows(rows: readonly (readonly RawValue[])[]): Promise<boolean>
}

export interface QueryLimits {
  /** Of the whole query, in ms. */
  readonly timeoutMs: number
  readonly bounds?: QueryBounds
}

const BOUNDS: QueryBounds = { heapBytes: 512 * 1024 * 1024 }

/** Loads SQLite as soon as it is made: the archive is opened meanwhile. It answers one query. */
export class PastQuery {
  readonly #worker = new Worker(programPath('../src/backup/past/queryWorker'))
  readonly #control = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)
  readonly #shared = new SharedArrayBuffer(IMAGE_BYTES)
  readonly #state = new Int32Array(this.#control)
  readonly #images = new Uint8Array(this.#shared)
  readonly #ended: Promise<void>
  #resolve: () => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor() {
    this.#ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever asks learns of it; nobody may have asked yet.
    this.#ended.catch(() => {})
    this.#worker.on('error', (error) => this.#reject(failed(error.message)))
    this.#worker.on('exit', () => this.#reject(new WalcastError('STOPPING')))
  }

  /**
   * Throws QUERY_FAILED with what SQLite says, or after the time-out; and what reading the archive
   * throws.
   */
  async run(pages: PastPages, sql: string, sink: RowSink, limits: QueryLimits): Promise<void> {
    await requireUtf8(pages)
    const timer = setTimer(
      () => this.#reject(failed(`it took longer than ${limits.timeoutMs / 1000} s`)),
      limits.timeoutMs,
    )
    this.#worker.on('message', (message: QueryMessage) => {
      this.#take(message, pages, sink).catch((error) => this.#reject(error))
    })
    const { pageSize, pages: count } = pages
    const [control, images] = [this.#control, this.#shared]
    const { bounds = BOUNDS } = limits
    const start: QueryStart = { sql, bounds, pageSize, pages: count, control, images }
    this.#worker.postMessage(start)
    try {
      await this.#ended
    } finally {
      cancelTimer(timer)
    }
  }

  /** Ends the thread, whatever it does. */
  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  async #take(message: QueryMessage, pages: PastPages, sink: RowSink): Promise<void> {
    switch (message.kind) {
      case 'columns':
        return sink.columns(message.names)
      case 'page':
        return this.#give(pages, message.page)
      case 'rows':
        if (await sink.rows(message.rows.map(received))) this.#answer(ANSWERED)
        else this.#resolve()
        return
      case 'failed':
        return this.#reject(failed(message.detail))
      case 'done':
        return this.#resolve()
    }
  }

  async #give(pages: PastPages, page: number): Promise<void> {
    const most = Math.floor(IMAGE_BYTES / pages.pageSize)
    try {
      const images = await pages.readRun(page, most)
      this.#images.set(images)
      Atomics.store(this.#state, BYTES, images.length)
      this.#answer(ANSWERED)
    } catch (error) {
      // What SQLite makes of it says less.
      this.#reject(error)
      this.#answer(FAILED)
    }
  }

  #answer(state: number): void {
    Atomics.store(this.#state, STATE, state)
    Atomics.notify(this.#state, STATE)
  }
}

/** The WebAssembly build of SQLite knows no other encoding, and takes such a schema for damaged. */
async function requireUtf8(pages: PastPages): Promise<void> {
  const encoding = (await pages.read(1)).readUInt32BE(ENCODING_AT)
  if (encoding > UTF8) throw failed('the database keeps its texts in UTF-16: use --open FILE')
}

/** A Buffer is a Uint8Array once it has gone from one thread to another. */
function received(row: readonly (RawValue | Uint8Array)[]): RawValue[] {
  return row.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value))
}

function failed(detail: string): WalcastError {
  return new WalcastError('QUERY_FAILED', { detail })
}
