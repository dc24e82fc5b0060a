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
  for await (const { head, at: place } of log.batchesAt(at.txid, at.txid))
    if (head.isFirst && leadsOn(head.from, head.to, at)) found = place
  return found
}

/** The last of `stands` (ascending by txid, with checksums) from which a batch goes on. */
export async function lastLedOn<T extends { readonly at: Stand }>(
  log: BatchLog,
  stands: readonly T[],
): Promise<T | undefined> {
  const byTxid = new Map(stands.map((stand) => [stand.at.txid, stand]))
  const ends = [stands.at(0), stands.at(-1)].map((stand) => stand?.at.txid ?? -1)
  let last: T | undefined
  for await (const { head } of log.batchesAt(ends[0], ends[1])) {
    const stand = byTxid.get(head.from.txid)
    const isOne = head.isFirst && stand && isSameState(head.from, stand.at)
    if (isOne && (!last || last.at.txid < stand.at.txid)) last = stand
  }
  return last
}

/**
 * Whether a batch goes on from `at`: from the state before it, or, with pages that are there
 * already, from one within it.
 */
export function leadsOn(from: Stand, to: Stand, at: Stand): boolean {
  if (isSameState(from, at)) return true
  return (
    at.checksum !== '' &&
    at.incarnation === to.incarnation &&
    from.txid < at.txid &&
    at.txid < to.txid
  )
}
