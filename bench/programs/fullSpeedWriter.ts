/** Inserts as fast as it can, one small commit a row, and says how many there were. */
import { loadClient } from '../clients/clients.ts'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['client', 'where', 'seconds', 'value-bytes', 'autocheckpoint'])
const durationNs = BigInt(Math.round(flags.number('seconds') * 1e9))
const client = await loadClient(flags.text('client'))
const writer = await client.openWriter(flags.text('where'), {
  valueBytes: flags.number('value-bytes'),
  pages: 1,
  autocheckpoint: flags.number('autocheckpoint'),
})

await readyThenGo()
const startNs = process.hrtime.bigint()
let endNs = startNs
let commits = 0
while (endNs - startNs < durationNs) {
  for (let i = 0; i < 16; i++) {
    const pending = writer.insert(++commits)
    if (pending) await pending
  }
  endNs = process.hrtime.bigint()
}
const elapsedMs = Number(endNs - startNs) / 1e6
report({ commits, ids: commits, elapsedMs, busyMs: elapsedMs, endNs: String(endNs) })
await writer.close()
