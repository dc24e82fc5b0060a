/** Records of a log of batches, and places of them. */
import type { LogEntry } from '../../src/backup/batchLog.ts'
import { type BatchHead, messageSum, type Stand } from '../../src/backup/batchRecord.ts'

export const A = 'aaaaaaaaaaaaaaaa'
export const B = 'bbbbbbbbbbbbbbbb'

export function stand(txid: number, incarnation = A, epoch = 1): Stand {
  return { incarnation, epoch, txid, checksum: checksumAt(txid) }
}

function checksumAt(txid: number): string {
  return (BigInt(txid) * 0x9e3779b97f4a7c15n).toString(16).padStart(16, '0').slice(-16)
}

/** Heads of a batch that was cut into messages. */
export function headsOf(from: Stand, to: Stand, messages: readonly Buffer[]): BatchHead[] {
  return messages.map((message, i) => {
    const isLast = i === messages.length - 1
    return {
      from,
      to: isLast ? to : { ...to, checksum: '' },
      isFirst: i === 0,
      isLast,
      timeMs: 1000 + to.txid,
      bytes: message.length,
      sum: messageSum(message),
    }
  })
}

export type HeadEntry = Pick<LogEntry, 'head' | 'at' | 'next'>

/** As a log gives them. */
export function entriesOf(heads: readonly BatchHead[]): HeadEntry[] {
  return heads.map((head, i) => ({
    head,
    at: { segment: 1, offset: i },
    next: { segment: 1, offset: i + 1 },
  }))
}

export async function* given<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
