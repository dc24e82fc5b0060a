/**
 * The thread that owns every SQLite connection of a node. Whatever may wait for a lock, backfill or sync runs here,
 * never on the thread that streams.
 */
import { fdatasyncSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { messageOf, systemCode } from '../errors.ts'
import type { CheckpointCounts, Step, StepResult } from './sqliteThread.ts'

const connections = new Map<string, Database.Database>()

function connection(name: string): Database.Database {
  const db = connections.get(name)
  if (!db) throw new Error(`no connection ${name}`)
  return db
}

function open(step: Extract<Step, { kind: 'open' }>): void {
  const db = new Database(step.path, {
    fileMustExist: !step.create,
    readonly: step.readOnly,
    timeout: step.timeoutMs,
  })
  const before = connections.get(step.connection)
  connections.set(step.connection, db)
  // Not the other way round: a last close would remove the WAL.
  before?.close()
  db.pragma('wal_autocheckpoint = 0')
  db.pragma('synchronous = NORMAL')
}

function run(step: Step): unknown {
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
    case 'close':
      connections.get(step.connection)?.close()
      return void connections.delete(step.connection)
  }
}

/** A writer at full speed leaves gaps of microseconds between its commits: they are met by trying all the time. Whoever has kept the lock this long has one long transaction, most likely. */
const FIRST_SPIN_MS = 250
const SPIN_MS = 1
const SLEEP_MS = 5
/** Slept on. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

function insist(step: Extract<Step, { kind: 'insist' }>): void {
  const db = connection(step.connection)
  const beganMs = performance.now()
  let spinUntilMs = beganMs + FIRST_SPIN_MS
  for (;;) {
    try {
      return void db.exec(step.sql)
    } catch (error) {
      const nowMs = performance.now()
      if (!systemCode(error).startsWith('SQLITE_BUSY') || nowMs >= beganMs + step.forMs) throw error
      if (nowMs < spinUntilMs) continue
      Atomics.wait(NEVER, 0, 0, SLEEP_MS)
      spinUntilMs = performance.now() + SPIN_MS
    }
  }
}

function runCheckpoint(step: Extract<Step, { kind: 'checkpoint' }>): CheckpointCounts {
  const statement = connection(step.connection).prepare(`PRAGMA wal_checkpoint(${step.mode})`)
  const untilMs = performance.now() + step.forMs
  for (;;) {
    const row = statement.get() as { busy: number; log: number; checkpointed: number }
    if (row.log >= 0 || performance.now() >= untilMs) {
      return { busy: row.busy !== 0, walFrames: row.log, backfilled: row.checkpointed }
    }
  }
}

function attempt(step: Step): StepResult {
  try {
    return { ok: true, value: run(step) }
  } catch (error) {
    return { ok: false, code: systemCode(error), detail: messageOf(error) }
  }
}

function runAll(steps: readonly Step[], stopAtError: boolean): StepResult[] {
  const results: StepResult[] = []
  for (const step of steps) {
    const result = attempt(step)
    results.push(result)
    if (!result.ok && stopAtError) break
  }
  return results
}

parentPort?.on('message', (job: { id: number; steps: readonly Step[]; stopAtError: boolean }) => {
  parentPort?.postMessage({ id: job.id, results: runAll(job.steps, job.stopAtError) })
})
