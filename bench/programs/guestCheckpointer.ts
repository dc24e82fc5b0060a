/**
 * Checkpoints now and then, as an application or its operator does, and says how long each took and
 * how many ended busy.
 */
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { percentiles } from '../arithmetic.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['db', 'mode', 'seconds', 'pause-ms', 'busy-ms'])
const db = new Database(flags.text('db'), { timeout: flags.number('busy-ms') })
const statement = db.prepare(`PRAGMA wal_checkpoint(${flags.text('mode')})`)
const tookNs: number[] = []
let busy = 0

await readyThenGo()
const endMs = performance.now() + flags.number('seconds') * 1000
while (performance.now() < endMs) {
  await delay(flags.number('pause-ms'))
  const begunNs = process.hrtime.bigint()
  const row = Object(statement.get())
  tookNs.push(Number(process.hrtime.bigint() - begunNs))
  if (row.busy !== 0) busy++
}
const { count, p50Ms, p99Ms, maxMs } = percentiles(tookNs)
report({ checkpoints: count, busy, p50Ms, p99Ms, maxMs })
db.close()
