/**
 * The process of a drill. It reads a `DrillOrder` as the first line of standard input and prints a
 * `DrillAnswer`. It ends when standard input does: then the node has ended, or the drill is not
 * wanted any more.
 *
 * A process of its own, with the least claim on the processor: no commit and no archive waits for
 * a drill, and a node that stops ends it at once, whatever SQLite does meanwhile.
 */

import { answerOrder } from '../../platform/childAnswer.ts'
import { systemFileOps } from '../../platform/fileOps.ts'
import { openStore } from '../stores/openStore.ts'
import type { DrillOrder } from './drillOrder.ts'
import { drill } from './drillRestore.ts'
import { PacedStore } from './pacedStore.ts'

answerOrder(async (order: DrillOrder) => {
  const store = new PacedStore(await openStore(order.place, systemFileOps), order.rate)
  const kind = await drill(order, store, systemFileOps)
  return { kind, bytes: store.bytes }
})
