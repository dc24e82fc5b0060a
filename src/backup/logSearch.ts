/** Where in the log of batches a place goes on. */
import type { BatchLog, LogPlace } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'

/**
 * The record that follows from `at`: the last one, as the log may have it twice. `guess` is looked
 * at first.
 */
export async function recordAfter(
  log: BatchLog,
  at: Stand,
  guess: LogPlace | undefined,
): Promise<LogPlace | undefined> {
  if (guess) {
    for await (const { head } of log.batches(guess))
      if (head.isFirst && isSameState(head.from, at)) return guess
      else break
  }
  let found: LogPlace | undefined
  for await (const { head, at: place } of log.batches())
    if (head.isFirst && leadsOn(head.from, head.to, at)) found = place
  return found
}

/**
 * Whether a batch goes on from `at`: from the state before it, or, with pages that are there
 * already, from one within it.
 */
function leadsOn(from: Stand, to: Stand, at: Stand): boolean {
  if (isSameState(from, at)) return true
  return (
    at.checksum !== '' &&
    at.incarnation === to.incarnation &&
    from.txid < at.txid &&
    at.txid < to.txid
  )
}
