/**
 * Runs checkpoints of all modes in a loop, beside other work. Prints `emptied` when one first makes
 * the WAL start over.
 */
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { optionsOf, say, stopSign } from './options.ts'

const { path, timeoutMs, pauseMs, modes } = optionsOf<{
  path: string
  timeoutMs: number
  pauseMs: number
  modes: readonly string[]
}>()
const sign = stopSign()
const db = new Database(path, { timeout: timeoutMs })
const counts: Record<string, number> = {}
let done = 0
let isEmptied = false
for (let i = 0; !sign.stopped; i++) {
  const mode = modes[i % modes.length]
  try {
    const [row] = db.pragma(`wal_checkpoint(${mode})`) as {
      busy: number
      log: number
      checkpointed: number
    }[]
    const whole = row.busy === 0 && row.log === row.checkpointed
    const key = `${mode} ${whole ? 'whole' : 'part'}`
    if (whole && /RESTART|TRUNCATE/.test(mode) && !isEmptied) {
      isEmptied = true
      say({ emptied: mode })
    }
    counts[key] = (counts[key] ?? 0) + 1
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY'))
      throw error
    counts[`${mode} busy`] = (counts[`${mode} busy`] ?? 0) + 1
  }
  if (++done % 100 === 0) say({ done })
  await delay(pauseMs)
}
db.close()
say({ counts })
process.exit(0)
