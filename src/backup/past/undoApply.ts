/** Applies an undo to the live database of a leader, in one transaction: all of it or nothing. */
import Database from 'better-sqlite3'
import { messageOf, systemCode, WalcastError } from '../../errors.ts'
import type { UndoStep } from '../../rowdiff/undoScript.ts'
import { databaseError } from '../../sqlite/databaseFiles.ts'

/** For the write lock. */
const BUSY_MS = 5000
const BUSY =
  'another program holds the write lock of this database; the node of a replica always does: ' +
  'run this at the leader'

/** Throws UNDO_REFUSED when the database is not as expected, or what opening it throws. */
export function applyUndo(path: string, steps: Iterable<UndoStep>): void {
  const db = open(path)
  try {
    for (const { sql, about } of steps) run(db, sql, about)
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK')
    db.close()
  }
}

function open(path: string): Database.Database {
  try {
    const db = new Database(path, { fileMustExist: true, timeout: BUSY_MS })
    // The node at this database checkpoints.
    db.pragma('wal_autocheckpoint = 0')
    return db
  } catch (error) {
    throw databaseError(path, { ok: false, code: systemCode(error), detail: messageOf(error) })
  }
}

function run(db: Database.Database, sql: string, about: string): void {
  try {
    db.exec(sql)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    const detail = error.code.startsWith('SQLITE_BUSY') ? BUSY : `${about}: ${reasonOf(error)}`
    throw new WalcastError('UNDO_REFUSED', { detail }, error)
  }
}

function reasonOf({ code, message }: InstanceType<typeof Database.SqliteError>): string {
  if (code === 'SQLITE_CONSTRAINT_CHECK' && message.endsWith(': ok'))
    return 'this is no longer as the archive has it'
  return message
}
