/**
 * The demo's writer, a process of its own: `node writer.js FILE RATE`. It changes real rows at RATE
 * transactions a second, until it gets a message or its parent is gone. It reports its number of
 * commits ten times a second. It knows nothing of walcast: it stands for any application.
 */
import Database from 'better-sqlite3'
import { random } from '../../platform/random.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer, setTimer } from '../../platform/time.ts'

export interface WriterReport {
  readonly writes: number
  readonly done: boolean
}

const REPORT_MS = 100
/** Transactions that are later are left out, so that no burst follows a pause. */
const MAX_BEHIND_MS = 250
const MAX_VISITS = 500

const [path, rateText] = process.argv.slice(2)
const intervalMs = 1000 / Number(rateText)
const db = new Database(path, { fileMustExist: true })
// As the documentation advises: the leader checkpoints.
db.pragma('wal_autocheckpoint = 0')
db.exec(`
  CREATE TABLE demo_visits (
    id INTEGER PRIMARY KEY, airport_id INTEGER NOT NULL REFERENCES airports (id), at TEXT NOT NULL
  )`)

const airports = idsOf('airports', 'id')
const runways = idsOf('runways', 'id')
const stations = idsOf('frequencies', 'airport_id')
const raiseAirport = db.prepare(`
  UPDATE airports SET elevation_ft = elevation_ft + 1, updated_at = CURRENT_TIMESTAMP WHERE id = ?`)
const widenRunway = db.prepare(
  'UPDATE runways SET width_ft = width_ft + 1, lighted = 1 - lighted WHERE id = ?',
)
const tuneStation = db.prepare(`
  UPDATE frequencies SET unicom = CASE unicom WHEN '122.8' THEN '122.7' ELSE '122.8' END
  WHERE airport_id = ?`)
const addVisit = db.prepare(
  'INSERT INTO demo_visits (airport_id, at) VALUES (?, CURRENT_TIMESTAMP)',
)
const dropVisit = db.prepare('DELETE FROM demo_visits WHERE id = ?')

/**
 * Each is one transaction. Each changes a value for certain, since writing the same value again
 * writes no page and could not be counted.
 */
const changes: readonly (() => void)[] = [
  () => raiseAirport.run(any(airports)),
  () => raiseAirport.run(any(airports)),
  () => widenRunway.run(any(runways)),
  () => tuneStation.run(any(stations)),
  db.transaction(visit),
]

let writes = 1
let dueMs = monotonicMs()
let isStopping = false
process.on('message', () => stop())
process.on('disconnect', () => stop())
const reports = setRepeatingTimer(() => report(false), REPORT_MS)
turn()

function turn(): void {
  if (isStopping) return finish()
  const nowMs = monotonicMs()
  dueMs = Math.max(dueMs, nowMs - MAX_BEHIND_MS)
  while (dueMs <= nowMs) {
    any(changes)()
    writes++
    dueMs += intervalMs
  }
  setTimer(turn, Math.max(0, dueMs - monotonicMs()))
}

function visit(): void {
  const airport = any(airports)
  const { lastInsertRowid } = addVisit.run(airport)
  raiseAirport.run(airport)
  dropVisit.run(Number(lastInsertRowid) - MAX_VISITS)
}

function stop(): void {
  isStopping = true
}

function finish(): void {
  cancelTimer(reports)
  db.close()
  report(true)
  if (process.connected) process.disconnect()
}

function report(done: boolean): void {
  if (process.connected) process.send?.({ writes, done } satisfies WriterReport, () => {})
}

function idsOf(table: string, column: string): readonly number[] {
  return db.prepare(`SELECT ${column} FROM ${table}`).pluck().all() as number[]
}

function any<T>(values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]
}
