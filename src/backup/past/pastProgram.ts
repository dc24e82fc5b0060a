/**
 * The process that reads the past of an archive for a node. It reads a `PastOrder` as the first
 * line of standard input and prints the answer. It ends when standard input does: then the node has
 * ended, or nobody waits for the answer any more.
 *
 * A process of its own: a query that takes all the memory or never ends takes nothing from the
 * node, and a restore never waits for its files.
 */

import { answerOrder } from '../../platform/childAnswer.ts'
import { systemFileOps } from '../../platform/fileOps.ts'
import { monotonicMs } from '../../platform/time.ts'
import { openStore } from '../stores/openStore.ts'
import { planOf, queryPast, restorePast } from './askedPast.ts'
import { contentsOf } from './pastContents.ts'
import type { PastOrder, RestoreNews } from './pastOrder.ts'

/** As often as the page of the console looks. */
const TELL_MS = 500

answerOrder(async (order: PastOrder, tell) => {
  const answer = await answerTo(order, paced(tell))
  return { kind: 'answer', answer }
}, true)

async function answerTo(order: PastOrder, tell: (news: RestoreNews) => void): Promise<object> {
  const store = await openStore(order.place, systemFileOps)
  switch (order.kind) {
    case 'contents':
      return contentsOf(order, store)
    case 'plan':
      return planOf(order, store)
    case 'query':
      return queryPast(order, store)
    case 'restore':
      return restorePast(order, store, systemFileOps, tell)
  }
}

function paced(tell: (news: object) => void): (news: RestoreNews) => void {
  let toldMs = Number.NEGATIVE_INFINITY
  return (news) => {
    const nowMs = monotonicMs()
    if (nowMs - toldMs < TELL_MS) return
    toldMs = nowMs
    tell(news)
  }
}
