/**
 * Watches a number in a database file, as an ordinary reader would see it, and notes when it first saw each new one.
 * Sleeps between two looks, so that it does not take a core from what it measures.
 */
import Database from 'better-sqlite3'
import { EventLog, SEEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report, sleepMs } from './program.ts'

const flags = new Flags(['db', 'sql', 'until', 'max-seconds', 'pause-ms', 'log'])
const until = flags.number('until')
const pauseMs = flags.number('pause-ms')
const db = new Database(flags.text('db'), { readonly: true, fileMustExist: true, timeout: 5000 })
const select = db.prepare(flags.text('sql')).pluck()
let last = Number(select.get() ?? 0)
const log = new EventLog(SEEN_WIDTH, Math.max(1, until - last))

await readyThenGo()
const startNs = process.hrtime.bigint()
const deadlineNs = startNs + BigInt(Math.round(flags.number('max-seconds') * 1e9))
let nowNs = startNs
let looks = 0
while (last < until && nowNs < deadlineNs) {
  const value = Number(select.get() ?? 0)
  nowNs = process.hrtime.bigint()
  looks++
  if (value > last) {
    log.add(BigInt(value), nowNs)
    last = value
  } else {
    sleepMs(pauseMs)
  }
}
log.save(flags.text('log'))
report({ last, looks, elapsedMs: Number(nowNs - startNs) / 1e6 })
db.close()
