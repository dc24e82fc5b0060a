import { WalcastError } from '../errors.ts'
import { Worker } from '../platform/processes.ts'
import { programPath } from '../programs.ts'
import type { CheckpointCounts } from './checkpointCounts.ts'
import type { PinnedFile } from './pinnedFiles.ts'
import type { ResetPass, ResetPassRequest } from './resetPass.ts'

/** One step of a job. Steps of one job run back to back, without a round trip between them. */
export type Step =
  | {
      readonly kind: 'open'
      readonly connection: string
      readonly path: string
      readonly timeoutMs: number
      readonly create: boolean
      readonly readOnly: boolean
    }
  | { readonly kind: 'exec'; readonly connection: string; readonly sql: string }
  | { readonly kind: 'rows'; readonly connection: string; readonly sql: string }
  | { readonly kind: 'close'; readonly connection: string }
  | { readonly kind: 'sync'; readonly fds: readonly number[] }
  | {
      readonly kind: 'insist'
      readonly connection: string
      readonly sql: string
      readonly forMs: number
    }
  | {
      readonly kind: 'checkpoint'
      readonly connection: string
      readonly mode: 'PASSIVE' | 'TRUNCATE'
      readonly forMs: number
    }
  | ResetPassStep

/** Its value is a `ResetPass`. */
export interface ResetPassStep {
  readonly kind: 'reset-pass'
  readonly connections: ResetPassConnections
  readonly shm: Pick<PinnedFile, 'fd' | 'dev' | 'ino'>
  /** A `CapturedFrame`. */
  readonly captured: SharedArrayBuffer
  readonly request: ResetPassRequest
}

export interface ResetPassConnections {
  readonly guards: readonly [string, string]
  readonly checkpoint: string
  readonly fence: string
}

export type StepResult =
  | { readonly ok: true; readonly value: unknown }
  /** `code` is SQLite's result name, such as SQLITE_BUSY. */
  | { readonly ok: false; readonly code: string; readonly detail: string }

export const exec = (connection: string, sql: string): Step => ({ kind: 'exec', connection, sql })
export const rows = (connection: string, sql: string): Step => ({ kind: 'rows', connection, sql })
/**
 * Tries `sql` again and again while it is busy, for `forMs` at most. SQLite's own busy handler
 * sleeps between tries and so seldom meets the short gap between two commits of a writer at full
 * speed.
 */
export const insist = (connection: string, sql: string, forMs: number): Step => ({
  kind: 'insist',
  connection,
  sql,
  forMs,
})
/**
 * Makes what was written to these descriptors durable, so that a sync that must be short finds
 * little to do.
 */
export const sync = (...fds: number[]): Step => ({ kind: 'sync', fds })
/** Checkpoints; while another checkpointer is at work, again and again for `forMs` at most. */
export const checkpoint = (connection: string, mode: 'PASSIVE' | 'TRUNCATE', forMs = 0): Step => ({
  kind: 'checkpoint',
  connection,
  mode,
  forMs,
})
/** Opens a connection that never checkpoints by itself. `timeoutMs` is its busy time-out. */
export const open = (connection: string, path: string, timeoutMs = 0, create = false): Step => ({
  kind: 'open',
  connection,
  path,
  timeoutMs,
  create,
  readOnly: false,
})
/**
 * Opens a connection that may not write: when it is the last to close, the WAL stays. It must read
 * once to count as open (https://sqlite.org/wal.html, "The WAL File").
 */
export const openReadOnly = (connection: string, path: string): Step => ({
  kind: 'open',
  connection,
  path,
  timeoutMs: 0,
  create: false,
  readOnly: true,
})
export const close = (connection: string): Step => ({ kind: 'close', connection })

/** What the thread asks for in the middle of a job. */
export interface CaptureRequest {
  readonly isFenced: boolean
}

export type ThreadMessage =
  | { readonly id: number; readonly results: StepResult[] }
  | { readonly id: number; readonly wanted: CaptureRequest }

interface Pending {
  readonly steps: readonly Step[]
  readonly onWanted: (request: CaptureRequest) => void
  readonly resolve: (results: StepResult[]) => void
  readonly reject: (error: Error) => void
}

/** The main thread's side of the SQLite worker. Jobs run one after another. */
export class SqliteThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #dead: WalcastError | undefined
  #isStopping = false
  readonly #onDead: (error: WalcastError) => void

  /**
   * `onDead` is called once when the thread dies by itself: every lock of this process on the
   * database is gone then.
   */
  constructor(onDead: (error: WalcastError) => void = () => {}) {
    this.#onDead = onDead
    this.#worker = new Worker(programPath('sqlite/sqliteWorker'))
    this.#worker.on('message', (message: ThreadMessage) => {
      const pending = this.#pending.get(message.id)
      if ('wanted' in message) return pending?.onWanted(message.wanted)
      this.#pending.delete(message.id)
      pending?.resolve(message.results)
    })
    this.#worker.on('error', (error) =>
      this.#fail(new WalcastError('INTERNAL', { detail: 'the SQLite thread died' }, error)),
    )
    this.#worker.on('exit', () => this.#fail(new WalcastError('STOPPING')))
  }

  /** While it is false, no lock of this process on the database can be relied on. */
  get isAlive(): boolean {
    return this.#dead === undefined
  }

  /** Runs all steps, whatever fails, and gives each one's result. */
  attempt(...steps: Step[]): Promise<StepResult[]> {
    return this.#post(steps, false)
  }

  /**
   * Runs the steps until one fails, which throws SQLITE_BUSY or SQLITE_FAILED. Gives the value of
   * the last.
   */
  async run(...steps: Step[]): Promise<unknown> {
    const results = await this.#post(steps, true)
    const last = results[results.length - 1]
    if (!last.ok) throw stepError(steps[results.length - 1], last)
    return last.value
  }

  /**
   * Runs one reset pass. `capture` is called when it waits for what was published to be captured.
   * Throws as `run` does.
   */
  async resetPass(
    step: ResetPassStep,
    capture: (request: CaptureRequest) => void,
  ): Promise<ResetPass> {
    const [result] = await this.#post([step], true, capture)
    if (!result.ok) throw stepError(step, result)
    return result.value as ResetPass
  }

  /** Closes every connection and ends the thread. */
  async stop(connections: readonly string[]): Promise<void> {
    this.#isStopping = true
    if (!this.#dead) await this.attempt(...connections.map(close))
    await this.#worker.terminate()
  }

  #post(
    steps: readonly Step[],
    stopAtError: boolean,
    onWanted: Pending['onWanted'] = () => {},
  ): Promise<StepResult[]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { steps, onWanted, resolve, reject })
      this.#worker.postMessage({ id, steps, stopAtError })
    })
  }

  #fail(error: WalcastError): void {
    if (!this.#dead && !this.#isStopping) this.#onDead(error)
    this.#dead ??= error
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }
}

/** The error for a failed step. */
export function stepError(
  step: Step,
  result: { readonly code: string; readonly detail: string },
): WalcastError {
  const detail = `${result.code} ${result.detail}`
  if (isBusy(result)) return new WalcastError('SQLITE_BUSY', { detail })
  return new WalcastError('SQLITE_FAILED', { sql: 'sql' in step ? step.sql : step.kind, detail })
}

export function isBusy(result: StepResult | { readonly code: string }): boolean {
  return (
    'code' in result &&
    (result.code.startsWith('SQLITE_BUSY') || result.code.startsWith('SQLITE_LOCKED'))
  )
}

/** The counts of a `checkpoint` step; all of a failed step counts as busy. */
export function checkpointCounts(result: StepResult | undefined): CheckpointCounts {
  return result?.ok
    ? (result.value as CheckpointCounts)
    : { busy: true, walFrames: -1, backfilled: -1 }
}

/** Whether every frame of the WAL is in the database file. */
export function isComplete(counts: CheckpointCounts): boolean {
  return counts.walFrames >= 0 && counts.walFrames === counts.backfilled
}
