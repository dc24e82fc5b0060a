/**
 * Inserts rows at a steady rate, after a warm-up at a rate of its own. Open loop: when it falls behind it does not skip,
 * and a late row counts from when it was due.
 */
import { dueNs } from '../arithmetic.ts'
import { EventLog, WRITTEN_WIDTH } from '../eventLog.ts'
import { Flags, openForWriting, readyThenGo, report, sleepMs } from './program.ts'

/** Between warm-up and measurement. */
const GAP_NS = 200_000_000n

const flags = new Flags([
  ...['db', 'rate', 'count', 'warmup-rate', 'warmup-count'],
  ...['value-bytes', 'autocheckpoint', 'log'],
])
const warmupCount = flags.number('warmup-count')
const count = flags.number('count')
const log = new EventLog(WRITTEN_WIDTH, warmupCount + count)
const db = openForWriting(flags.text('db'), flags.number('autocheckpoint'))
const insert = db.prepare('INSERT INTO t(id, v) VALUES (?, ?)')
const value = Buffer.alloc(flags.number('value-bytes'), 0x61)

function write(firstId: number, rows: number, ratePerSecond: number, startNs: bigint): void {
  for (let i = 0; i < rows; i++) {
    const due = dueNs(startNs, i, ratePerSecond)
    for (;;) {
      const leftNs = Number(due - process.hrtime.bigint())
      if (leftNs <= 0) break
      sleepMs(leftNs / 1e6)
    }
    insert.run(firstId + i, value)
    log.add(BigInt(firstId + i), due, process.hrtime.bigint())
  }
}

await readyThenGo()
write(1, warmupCount, flags.number('warmup-rate'), process.hrtime.bigint() + 1_000_000n)
const startNs = process.hrtime.bigint() + GAP_NS
write(1 + warmupCount, count, flags.number('rate'), startNs)
const endNs = process.hrtime.bigint()
log.save(flags.text('log'))
report({ commits: warmupCount + count, elapsedMs: Number(endNs - startNs) / 1e6, startNs: String(startNs) })
db.close()
