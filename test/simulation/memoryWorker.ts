/**
 * The SQLite thread of a node, as the other thread sees it: a worker that answers jobs, in order,
 * over the databases of its machine. What waits in the real one waits in simulated time; a reset
 * pass runs within one event.
 */
import { EventEmitter } from 'node:events'
import { messageOf, systemCode } from '../../src/errors.ts'
import { CapturedFrame } from '../../src/sqlite/capturedFrame.ts'
import { type GuardNumber, type ResetPass, runResetPass } from '../../src/sqlite/resetPass.ts'
import type {
  CaptureRequest,
  ResetPassStep,
  Step,
  StepResult,
} from '../../src/sqlite/sqliteThread.ts'
import { WalIndexReader } from '../../src/sqlite/walIndexReader.ts'
import { type MemoryConnection, type MemorySqlite, SqliteBusy } from './memorySqlite.ts'
import type { Owner, Scheduler } from './scheduler.ts'

/** What a worker needs of the machine that it runs on. */
export interface Machine {
  readonly scheduler: Scheduler
  database(path: string): MemorySqlite
}

interface Job {
  readonly id: number
  readonly steps: readonly Step[]
  readonly stopAtError: boolean
}

/** Between two threads. */
const MESSAGE_MS = 0.05
const RETRY_MS = 1
const SYNC_MS = 2
const CHECKPOINT_MS = 1
/** How far the clock of a reset pass moves at each look. */
const LOOK_MS = 0.05

export class MemoryWorker extends EventEmitter {
  readonly #machine: Machine
  readonly #owner: Owner
  readonly #connections = new Map<string, Opened>()
  #jobs: Promise<void> = Promise.resolve()

  /** Of the process whose event happens. */
  constructor(machine: Machine) {
    super()
    this.#machine = machine
    this.#owner = machine.scheduler.owner
  }

  postMessage(job: Job): void {
    this.#jobs = this.#jobs.then(() => this.#run(job))
  }

  async terminate(): Promise<number> {
    return 0
  }

  async #run({ id, steps, stopAtError }: Job): Promise<void> {
    await this.#pause(MESSAGE_MS)
    const results: StepResult[] = []
    for (const step of steps) {
      const result = await this.#attempt(step, (wanted) => this.emit('message', { id, wanted }))
      results.push(result)
      if (!result.ok && stopAtError) break
    }
    await this.#pause(MESSAGE_MS)
    this.emit('message', { id, results })
  }

  #pause(forMs: number): Promise<void> {
    const { scheduler } = this.#machine
    return new Promise((resolve) => void scheduler.after(forMs, resolve, this.#owner))
  }

  async #attempt(step: Step, want: (request: CaptureRequest) => void): Promise<StepResult> {
    try {
      return { ok: true, value: await this.#take(step, want) }
    } catch (error) {
      return { ok: false, code: systemCode(error), detail: messageOf(error) }
    }
  }

  async #take(step: Step, want: (request: CaptureRequest) => void): Promise<unknown> {
    switch (step.kind) {
      case 'open':
        return this.#open(step)
      case 'exec':
        return this.#exec(step.connection, step.sql)
      case 'rows':
        return this.#rows(step.connection, step.sql)
      case 'sync':
        return this.#pause(SYNC_MS)
      case 'checkpoint':
        await this.#pause(CHECKPOINT_MS)
        return this.#opened(step.connection).checkpoint(step.mode)
      case 'insist':
        return this.#insist(step)
      case 'reset-pass':
        await this.#pause(CHECKPOINT_MS)
        return this.#resetPass(step, want)
      case 'close':
        this.#connections.get(step.connection)?.close()
        return void this.#connections.delete(step.connection)
    }
  }

  #open({ connection: name, path, readOnly }: Extract<Step, { kind: 'open' }>): void {
    const before = this.#connections.get(name)
    const database = path === ':memory:' ? undefined : this.#machine.database(path)
    const connection = database?.connect(this.#owner, readOnly)
    this.#connections.set(name, new Opened(database, connection))
    before?.close()
  }

  #exec(name: string, sql: string): void {
    const opened = this.#opened(name)
    switch (sql) {
      case 'BEGIN':
        return opened.begin()
      case 'BEGIN IMMEDIATE':
        return opened.beginWriting()
      case 'COMMIT':
      case 'ROLLBACK':
        return opened.end(sql)
      default:
        throw new Error(`the simulation has no ${sql}`)
    }
  }

  #rows(name: string, sql: string): unknown[] {
    const opened = this.#opened(name)
    if (sql.startsWith('SELECT sqlite_version()')) return [{ version: '3.53.0' }]
    opened.read()
    if (sql.startsWith('PRAGMA journal_mode')) return [{ journal_mode: 'wal' }]
    if (sql.includes('pragma_page_count')) return [{ entries: 1, page_count: 2 }]
    return [{}]
  }

  async #insist({ connection, sql, forMs }: Extract<Step, { kind: 'insist' }>): Promise<void> {
    const { scheduler } = this.#machine
    const untilMs = scheduler.elapsedMs + forMs
    for (;;) {
      try {
        return this.#exec(connection, sql)
      } catch (error) {
        if (!(error instanceof SqliteBusy) || scheduler.elapsedMs >= untilMs) throw error
        await this.#pause(RETRY_MS)
      }
    }
  }

  #resetPass(
    { connections, shm, captured, request }: ResetPassStep,
    want: (request: CaptureRequest) => void,
  ): ResetPass {
    const walIndex = new WalIndexReader(shm.fd)
    const guard = (number: GuardNumber) => this.#opened(connections.guards[number])
    let nowMs = this.#machine.scheduler.elapsedMs
    return runResetPass(
      {
        begin(number) {
          guard(number).begin()
          guard(number).read()
          return true
        },
        end: (number) => guard(number).end('COMMIT'),
        backfill: () => this.#opened(connections.checkpoint).checkpoint('PASSIVE'),
        takeFence: () => this.#opened(connections.fence).tryWriting(),
        releaseFence: () => this.#opened(connections.fence).end('COMMIT'),
        isRead: () => false,
        published: () => walIndex.read(),
        backfilledFrames: () => walIndex.backfilledFrames(),
        captured: new UnwaitedFrame(captured),
        askForCapture: (isFenced) => want({ isFenced }),
        nowMs: () => {
          nowMs += LOOK_MS
          return nowMs
        },
      },
      request,
    )
  }

  #opened(name: string): Opened {
    const opened = this.#connections.get(name)
    if (!opened) throw new Error(`no connection ${name}`)
    return opened
  }
}

/** Capture runs when it is asked, on the same thread: what it has not taken then never comes. */
class UnwaitedFrame extends CapturedFrame {
  override wait(salt1: number, frame: number): boolean {
    return this.includes(salt1, frame)
  }
}

/** A connection by its name; without a database it is one to `:memory:`. */
class Opened {
  readonly #database: MemorySqlite | undefined
  readonly #connection: MemoryConnection | undefined

  constructor(database: MemorySqlite | undefined, connection: MemoryConnection | undefined) {
    this.#database = database
    this.#connection = connection
  }

  begin(): void {
    if (this.#connection) this.#database?.begin(this.#connection)
  }

  beginWriting(): void {
    if (this.#connection) this.#database?.beginWriting(this.#connection)
  }

  tryWriting(): boolean {
    if (this.#database?.isWritten) return false
    this.beginWriting()
    return true
  }

  /** Within a transaction it begins to read; outside it reads and ends. */
  read(): void {
    const [database, connection] = [this.#database, this.#connection]
    if (!database || !connection) return
    if (connection.isBegun) return database.read(connection)
    database.begin(connection)
    database.read(connection)
    database.end(connection)
  }

  end(sql: string): void {
    if (!this.#connection?.isBegun) throw new Error(`cannot ${sql}: no transaction is active`)
    this.#database?.end(this.#connection)
  }

  checkpoint(mode: 'PASSIVE' | 'TRUNCATE') {
    if (!this.#connection || !this.#database) throw new Error('no database')
    return this.#database.checkpoint(this.#connection, mode)
  }

  close(): void {
    if (this.#connection) this.#database?.close(this.#connection)
  }
}
