/**
 * Asks for the largest visible id again and again, as an ordinary client would, and notes when it
 * first saw each new one. Sleeps between two looks, so that it does not take a core from what it
 * measures.
 */
import { loadClient } from '../clients/clients.ts'
import { EventLog, SEEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report, sleepMs } from './program.ts'

const flags = new Flags(['client', 'where', 'until', 'max-seconds', 'pause-ms', 'log'])
const until = flags.number('until')
const pauseMs = flags.number('pause-ms')
const client = await loadClient(flags.text('client'))
const reader = await client.openReader(flags.text('where'))
let last = await reader.maxId()
const log = new EventLog(SEEN_WIDTH, Math.max(1, until - last))

await readyThenGo()
const startNs = process.hrtime.bigint()
const deadlineNs = startNs + BigInt(Math.round(flags.number('max-seconds') * 1e9))
let nowNs = startNs
let looks = 0
while (last < until && nowNs < deadlineNs) {
  const looked = reader.maxId()
  const id = typeof looked === 'number' ? looked : await looked
  nowNs = process.hrtime.bigint()
  looks++
  if (id > last) {
    log.add(BigInt(id), nowNs)
    last = id
  } else {
    sleepMs(pauseMs)
  }
}
log.save(flags.text('log'))
report({ last, looks, elapsedMs: Number(nowNs - startNs) / 1e6 })
await reader.close()
