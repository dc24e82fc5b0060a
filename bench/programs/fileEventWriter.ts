/**
 * Writes the number of each write, 1, 2, 3 and so on, at the start of a file: at a steady rate
 * after a warm-up. Logs as the other writers do; `committed` is when pwrite had returned.
 */
import { openSync, writeSync } from 'node:fs'
import { dueNs } from '../arithmetic.ts'
import { EventLog, WRITTEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report, sleepUntil } from './program.ts'

const flags = new Flags(['file', 'rate', 'count', 'warmup-rate', 'warmup-count', 'log'])
const warmupCount = flags.number('warmup-count')
const count = flags.number('count')
const log = new EventLog(WRITTEN_WIDTH, warmupCount + count)
const file = openSync(flags.text('file'), 'r+')
const bytes = Buffer.alloc(8)

function write(firstNumber: number, writes: number, ratePerSecond: number): void {
  const startNs = process.hrtime.bigint() + 1_000_000n
  for (let i = 0; i < writes; i++) {
    const due = dueNs(startNs, i, ratePerSecond)
    sleepUntil(due)
    bytes.writeBigUInt64LE(BigInt(firstNumber + i))
    const begunNs = process.hrtime.bigint()
    writeSync(file, bytes, 0, bytes.length, 0)
    log.add(BigInt(firstNumber + i), due, begunNs, process.hrtime.bigint())
  }
}

await readyThenGo()
write(1, warmupCount, flags.number('warmup-rate'))
write(1 + warmupCount, count, flags.number('rate'))
log.save(flags.text('log'))
report({ writes: warmupCount + count })
