/**
 * The thread that owns every SQLite connection of a node. All that may wait for a lock, backfill or
 * sync runs here, never on the thread that streams.
 */
import Database from 'better-sqlite3'
import { messageOf, systemCode } from '../errors.ts'
import { fdatasyncSync } from '../platform/files.ts'
import { parentPort } from '../platform/processes.ts'
import { monotonicMs } from '../platform/time.ts'
import { CapturedFrame } from './capturedFrame.ts'
import type { CheckpointCounts } from './checkpointCounts.ts'
import { isReadByOthers, locksOf } from './lockTable.ts'
import { type GuardNumber, type ResetPass, type ResetPassParts, runResetPass } from './resetPass.ts'
import type {
  CaptureRequest,
  ResetPassStep,
  Step,
  StepResult,
  ThreadMessage,
} from './sqliteThread.ts'
import { WalIndexReader } from './walIndexReader.ts'

const connections = new Map<string, Database.Database>()

function connection(name: string): Database.Database {
  const db = connections.get(name)
  if (!db) throw new Error(`no connection ${name}`)
  return db
}

function open(step: Extract<Step, { kind: 'open' }>): void {
  const { path, timeoutMs: timeout, create, readOnly: readonly } = step
  const db = new Database(path, { fileMustExist: !create, timeout, readonly })
  const before = connections.get(step.connection)
  connections.set(step.connection, db)
  // Not the other way round: a last close would remove the WAL.
  before?.close()
  db.pragma('wal_autocheckpoint = 0')
  db.pragma('synchronous = NORMAL')
}

function run(step: Step, want: (request: CaptureRequest) => void): unknown {
  switch (step.kind) {
    case 'open':
      return open(step)
    case 'exec':
      return void connection(step.connection).exec(step.sql)
    case 'rows':
      return connection(step.connection).prepare(step.sql).all()
    case 'sync':
      return step.fds.forEach((fd) => {
        fdatasyncSync(fd)
      })
    case 'checkpoint':
      return runCheckpoint(step)
    case 'insist':
      return insist(step)
    case 'reset-pass':
      return resetPass(step, want)
    case 'close':
      connections.get(step.connection)?.close()
      return void connections.delete(step.connection)
  }
}

/**
 * A writer at full speed leaves gaps of microseconds between its commits: only trying all the time
 * meets them. A connection that keeps the lock this long most likely has one long transaction.
 */
const FIRST_SPIN_MS = 250
const SPIN_MS = 1
const SLEEP_MS = 5
/** The thread sleeps on this. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

function insist(step: Extract<Step, { kind: 'insist' }>): void {
  const db = connection(step.connection)
  const beganMs = monotonicMs()
  let spinUntilMs = beganMs + FIRST_SPIN_MS
  for (;;) {
    try {
      return void db.exec(step.sql)
    } catch (error) {
      const nowMs = monotonicMs()
      if (!systemCode(error).startsWith('SQLITE_BUSY') || nowMs >= beganMs + step.forMs) throw error
      if (nowMs < spinUntilMs) continue
      Atomics.wait(NEVER, 0, 0, SLEEP_MS)
      spinUntilMs = monotonicMs() + SPIN_MS
    }
  }
}

function resetPass(
  { connections, shm, captured, request }: ResetPassStep,
  want: (request: CaptureRequest) => void,
): ResetPass {
  const walIndex = new WalIndexReader(shm.fd)
  const guard = (number: GuardNumber) => connection(connections.guards[number])
  const parts: ResetPassParts = {
    begin: (number) => isFree(() => beginReading(guard(number))),
    end: (number) => void guard(number).exec('COMMIT'),
    backfill: (forMs) =>
      runCheckpoint({
        kind: 'checkpoint',
        connection: connections.checkpoint,
        mode: 'PASSIVE',
        forMs,
      }),
    takeFence: (forMs) =>
      isFree(() =>
        insist({ kind: 'insist', connection: connections.fence, sql: 'BEGIN IMMEDIATE', forMs }),
      ),
    releaseFence: () => void connection(connections.fence).exec('COMMIT'),
    isRead: () => isReadByOthers(locksOf(shm), process.pid),
    published: () => walIndex.read(),
    backfilledFrames: () => walIndex.backfilledFrames(),
    captured: new CapturedFrame(captured),
    askForCapture: (isFenced) => want({ isFenced }),
    nowMs: () => monotonicMs(),
  }
  return runResetPass(parts, request)
}

/**
 * Whether `take` succeeded; false when another connection holds the lock. Throws any other failure.
 */
function isFree(take: () => void): boolean {
  try {
    take()
    return true
  } catch (error) {
    if (systemCode(error).startsWith('SQLITE_BUSY')) return false
    throw error
  }
}

function beginReading(db: Database.Database): void {
  db.exec('BEGIN')
  try {
    db.prepare('PRAGMA user_version').get()
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function runCheckpoint(step: Extract<Step, { kind: 'checkpoint' }>): CheckpointCounts {
  const statement = connection(step.connection).prepare(`PRAGMA wal_checkpoint(${step.mode})`)
  const untilMs = monotonicMs() + step.forMs
  for (;;) {
    const row = statement.get() as { busy: number; log: number; checkpointed: number }
    if (row.log >= 0 || monotonicMs() >= untilMs) {
      return { busy: row.busy !== 0, walFrames: row.log, backfilled: row.checkpointed }
    }
  }
}

function attempt(step: Step, want: (request: CaptureRequest) => void): StepResult {
  try {
    return { ok: true, value: run(step, want) }
  } catch (error) {
    return { ok: false, code: systemCode(error), detail: messageOf(error) }
  }
}

function runAll(
  steps: readonly Step[],
  stopAtError: boolean,
  want: (request: CaptureRequest) => void,
): StepResult[] {
  const results: StepResult[] = []
  for (const step of steps) {
    const result = attempt(step, want)
    results.push(result)
    if (!result.ok && stopAtError) break
  }
  return results
}

const tell = (message: ThreadMessage) => parentPort?.postMessage(message)

parentPort?.on(
  'message',
  ({ id, steps, stopAtError }: { id: number; steps: readonly Step[]; stopAtError: boolean }) => {
    const results = runAll(steps, stopAtError, (wanted) => tell({ id, wanted }))
    tell({ id, results })
  },
)
