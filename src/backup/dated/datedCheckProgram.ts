/**
 * The process that checks a dated snapshot: it reads a `DatedCheckOrder` and answers `sound` with
 * the state checksum, or why not. Neither the node nor its stop waits for SQLite's check.
 */

import { answerOrder } from '../../platform/childAnswer.ts'
import { systemFileOps } from '../../platform/fileOps.ts'
import { openStore } from '../stores/openStore.ts'
import { checkDated, type DatedCheckOrder } from './datedCheck.ts'

answerOrder(async (order: DatedCheckOrder) => {
  const store = await openStore(order.place, systemFileOps)
  return { kind: 'sound', checksum: await checkDated(order, store, systemFileOps) }
})
