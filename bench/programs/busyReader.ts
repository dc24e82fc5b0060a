/**
 * Reads without a pause, to load a replica while something else is measured. Ends when it is told
 * to stop.
 */
import { setImmediate } from 'node:timers/promises'
import { loadClient } from '../clients/clients.ts'
import { Flags, readyThenGo, report } from './program.ts'

/** Looks between two moments in which a signal is noticed. */
const BURST = 100

const flags = new Flags(['client', 'where'])
const client = await loadClient(flags.text('client'))
const reader = await client.openReader(flags.text('where'))
let isStopped = false
process.once('SIGTERM', () => {
  isStopped = true
})

await readyThenGo()
let looks = 0
while (!isStopped) {
  for (let i = 0; i < BURST; i++) await reader.maxId()
  looks += BURST
  await setImmediate()
}
report({ looks })
await reader.close()
