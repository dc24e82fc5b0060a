/**
 * The process that checks a dated snapshot: it reads a `DatedCheckOrder` and answers `sound`, or
 * why not. Neither the node nor its stop waits for SQLite's check.
 */
import { systemFileOps } from '../../platform/fileOps.ts'
import { answerOrder } from '../childAnswer.ts'
import { openStore } from '../stores/openStore.ts'
import { checkDated, type DatedCheckOrder } from './datedCheck.ts'

answerOrder(async (order: DatedCheckOrder) => {
  await checkDated(order, await openStore(order.place, systemFileOps), systemFileOps)
  return { kind: 'sound' }
})
