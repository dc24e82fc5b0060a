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
  type QueryMessage,
  type QueryStart,
  STATE,
} from './queryMessages.ts'

/** Takes the answer. The query goes on once a promise has resolved. */
export interface RowSink {
  columns(names: readonly string[]): void
  /** Texts are bytes in the encoding UTF-8. False: no more rows are wanted. */
  rows(rows: readonly (readonly RawValue[])[]): Promise<boolean>
}

export interface QueryLimits {
  /** Of the whole query, in ms. */
  readonly timeoutMs: number
}

/**
 * Throws QUERY_FAILED with what SQLite says, or after the time-out; and what reading the archive
 * throws.
 */
export async function queryPast(
  pages: PastPages,
  sql: string,
  sink: RowSink,
  limits: QueryLimits,
): Promise<void> {
  const run = new QueryRun(pages, sql, sink)
  const timer = setTimer(
    () => run.fail(failed(`it took longer than ${limits.timeoutMs / 1000} s (see --timeout)`)),
    limits.timeoutMs,
  )
  try {
    await run.ended
  } finally {
    cancelTimer(timer)
    await run.stop()
  }
}

class QueryRun {
  readonly ended: Promise<void>
  readonly #pages: PastPages
  readonly #sink: RowSink
  readonly #worker: Worker
  readonly #state: Int32Array
  readonly #images: Uint8Array
  #resolve: () => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(pages: PastPages, sql: string, sink: RowSink) {
    this.#pages = pages
    this.#sink = sink
    const control = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)
    const images = new SharedArrayBuffer(IMAGE_BYTES)
    this.#state = new Int32Array(control)
    this.#images = new Uint8Array(images)
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const { pageSize, pages: count } = pages
    const start: QueryStart = { sql, pageSize, pages: count, control, images }
    this.#worker = new Worker(programPath('backup/past/queryWorker'), { workerData: start })
    this.#worker.on('message', (message: QueryMessage) => {
      this.#take(message).catch((error) => this.fail(error))
    })
    this.#worker.on('error', (error) => this.fail(failed(error.message)))
    this.#worker.on('exit', () => this.fail(new WalcastError('STOPPING')))
  }

  /** The first end of a query counts. */
  fail(error: unknown): void {
    this.#reject(error)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  async #take(message: QueryMessage): Promise<void> {
    switch (message.kind) {
      case 'columns':
        return this.#sink.columns(message.names)
      case 'page':
        return this.#give(message.page)
      case 'rows':
        if (await this.#sink.rows(message.rows.map(received))) this.#answer(ANSWERED)
        else this.#resolve()
        return
      case 'failed':
        return this.fail(failed(message.detail))
      case 'done':
        return this.#resolve()
    }
  }

  async #give(page: number): Promise<void> {
    const most = Math.floor(IMAGE_BYTES / this.#pages.pageSize)
    try {
      const images = await this.#pages.readRun(page, most)
      this.#images.set(images)
      Atomics.store(this.#state, BYTES, images.length)
      this.#answer(ANSWERED)
    } catch (error) {
      // What SQLite makes of it says less.
      this.fail(error)
      this.#answer(FAILED)
    }
  }

  #answer(state: number): void {
    Atomics.store(this.#state, STATE, state)
    Atomics.notify(this.#state, STATE)
  }
}

/** A Buffer is a Uint8Array once it has gone from one thread to another. */
function received(row: readonly (RawValue | Uint8Array)[]): RawValue[] {
  return row.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value))
}

function failed(detail: string): WalcastError {
  return new WalcastError('QUERY_FAILED', { detail })
}
