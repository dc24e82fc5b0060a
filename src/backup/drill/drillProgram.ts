/**
 * The process of a drill. It reads a `DrillOrder` as the first line of standard input and prints a
 * `DrillAnswer`. It ends when standard input does: then the node has ended, or the drill is not
 * wanted any more.
 *
 * A process of its own, with the least claim on the processor: no commit and no archive waits for
 * a drill, and a node that stops ends it at once, whatever SQLite does meanwhile.
 */
import { constants, setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { asWalcastError } from '../../errors.ts'
import { systemFileOps } from '../../platform/fileOps.ts'
import { openStore } from '../stores/openStore.ts'
import type { DrillAnswer, DrillOrder } from './drillOrder.ts'
import { drill } from './drillRestore.ts'
import { PacedStore } from './pacedStore.ts'

async function answer(order: DrillOrder): Promise<DrillAnswer> {
  try {
    const store = new PacedStore(await openStore(order.place, systemFileOps), order.rate)
    const kind = await drill(order, store, systemFileOps)
    return { kind, bytes: store.bytes }
  } catch (error) {
    const { key, message } = asWalcastError(error)
    return { kind: 'failed', code: key, message }
  }
}

setPriority(constants.priority.PRIORITY_LOW)
let isAnswered = false
const input = createInterface({ input: process.stdin })
input.once('line', (line) => {
  void answer(JSON.parse(line)).then((answered) => {
    isAnswered = true
    process.stdout.write(`${JSON.stringify(answered)}\n`)
    process.stdin.destroy()
  })
})
input.once('close', () => {
  // Nothing in it needs an orderly end, and SQLite may be at work in a thread.
  if (!isAnswered) process.kill(process.pid, 'SIGKILL')
})
