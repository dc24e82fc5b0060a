/**
 * Notes when a file event told it of each write of fileEventWriter: the number is read first, so
 * that it was there at that time.
 */
import { openSync, readSync, watch } from 'node:fs'
import { EventLog, SEEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['file', 'until', 'max-seconds', 'log'])
const until = flags.number('until')
const file = openSync(flags.text('file'), 'r')
const bytes = Buffer.alloc(8)
const log = new EventLog(SEEN_WIDTH, until)
let last = 0

const watcher = watch(flags.text('file'), () => {
  readSync(file, bytes, 0, bytes.length, 0)
  const nowNs = process.hrtime.bigint()
  const number = Number(bytes.readBigUInt64LE())
  if (number <= last) return
  log.add(BigInt(number), nowNs)
  last = number
  if (number >= until) end()
})

const timer = setTimeout(end, flags.number('max-seconds') * 1000)

function end(): void {
  clearTimeout(timer)
  watcher.close()
  log.save(flags.text('log'))
  report({ last, events: log.rows })
}

await readyThenGo()
