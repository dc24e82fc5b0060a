/**
 * Inserts rows at a steady rate, after a warm-up at a rate of its own; between the two it says
 * `warm` and waits for a line. Open loop: when it falls behind it does not skip, and a late row
 * counts from when it was due.
 */
import { dueNs } from '../arithmetic.ts'
import { loadClient } from '../clients/clients.ts'
import { EventLog, WRITTEN_WIDTH } from '../eventLog.ts'
import { Flags, readyThenGo, report, sayThenGo, sleepUntil } from './program.ts'

/** Between the word to go on and the first row that counts. */
const GAP_NS = 200_000_000n

const flags = new Flags([
  ...['client', 'where', 'rate', 'count', 'warmup-rate', 'warmup-count'],
  ...['value-bytes', 'pages', 'autocheckpoint', 'log'],
])
const warmupCount = flags.number('warmup-count')
const count = flags.number('count')
const log = new EventLog(WRITTEN_WIDTH, warmupCount + count)
const client = await loadClient(flags.text('client'))
const writer = await client.openWriter(flags.text('where'), {
  valueBytes: flags.number('value-bytes'),
  pages: flags.number('pages'),
  autocheckpoint: flags.number('autocheckpoint'),
})

/** Time spent in commits, of the rows that count. */
let busyNs = 0

async function write(
  firstId: number,
  rows: number,
  ratePerSecond: number,
  startNs: bigint,
): Promise<void> {
  for (let i = 0; i < rows; i++) {
    const due = dueNs(startNs, i, ratePerSecond)
    sleepUntil(due)
    const begunNs = process.hrtime.bigint()
    const pending = writer.insert(firstId + i)
    if (pending) await pending
    const committedNs = process.hrtime.bigint()
    busyNs += Number(committedNs - begunNs)
    log.add(BigInt(firstId + i), due, begunNs, committedNs)
  }
}

await readyThenGo()
await write(1, warmupCount, flags.number('warmup-rate'), process.hrtime.bigint() + 1_000_000n)
busyNs = 0
await sayThenGo('warm')
const startNs = process.hrtime.bigint() + GAP_NS
await write(1 + warmupCount, count, flags.number('rate'), startNs)
const endNs = process.hrtime.bigint()
log.save(flags.text('log'))
const ids = warmupCount + count
report({
  commits: count,
  ids,
  elapsedMs: Number(endNs - startNs) / 1e6,
  busyMs: busyNs / 1e6,
  endNs: String(endNs),
})
await writer.close()
