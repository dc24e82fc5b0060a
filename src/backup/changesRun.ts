/**
 * Which records of the log make the next file of changes: whole batches of one incarnation that
 * follow each other, with nothing between them. A batch that is larger than a file makes a run of
 * several parts alone.
 */
import type { LogEntry, LogPlace } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'

/** Records of one file. */
export interface RunPart {
  readonly at: LogPlace
  readonly entries: number
  /** Behind the last record. */
  readonly end: LogPlace
  /** The first record goes on with the batch of the part before. */
  readonly continues: boolean
  /** The last batch goes on in the next part. */
  readonly isOpen: boolean
}

export interface ChangesRun {
  readonly from: Stand
  readonly to: Stand
  /** When the leader noticed the first batch, and the last one. */
  readonly firstMs: number
  readonly timeMs: number
  readonly parts: readonly RunPart[]
  /** Where the log goes on. */
  readonly next: LogPlace
  /** The log had no whole batch more. */
  readonly isToEnd: boolean
}

export interface RunLimits {
  /** Bytes of messages in a file, unless one message is larger. */
  readonly bytes: number
  /** Batches in a file. */
  readonly batches: number
  /** No file goes past this one: a snapshot is there. */
  readonly cutTxid?: number
}

type Entry = Pick<LogEntry, 'head' | 'at' | 'next'>

/** Undefined when no batch is whole. `entries` follow each other in the log. */
export async function nextRun(
  entries: AsyncIterable<Entry>,
  limits: RunLimits,
): Promise<ChangesRun | undefined> {
  const run = new GrowingRun(limits)
  let isToEnd = true
  for await (const entry of entries) {
    isToEnd = run.take(entry)
    if (!isToEnd) break
  }
  return run.end(isToEnd)
}

class GrowingRun {
  readonly #limits: RunLimits
  readonly #run: Entry[] = []
  #batch: Entry[] = []
  #bytes = 0
  #batches = 0

  constructor(limits: RunLimits) {
    this.#limits = limits
  }

  /** Whether the run may go on. One that ends without `entry` lacks it. */
  take(entry: Entry): boolean {
    const { head } = entry
    const isMore = !head.isFirst && isSameBatch(this.#batch, head)
    if (!isMore && !this.#mayBegin(head)) return false
    if (!isMore) this.#batch = []
    if (!isMore && !head.isFirst) return true
    this.#batch.push(entry)
    return !head.isLast || this.#takeBatch()
  }

  end(isToEnd: boolean): ChangesRun | undefined {
    if (this.#batches === 0) return undefined
    const partBytes = this.#batches === 1 ? this.#limits.bytes : this.#bytes
    return { ...runOf(this.#run, partBytes), isToEnd }
  }

  #mayBegin(head: Entry['head']): boolean {
    return this.#batches === 0 || (this.#batch.length === 0 && leadsFrom(this.#run, head))
  }

  #takeBatch(): boolean {
    const { bytes, batches, cutTxid } = this.#limits
    const more = bytesOf(this.#batch)
    if (this.#batches > 0) {
      if (this.#run[this.#run.length - 1].head.to.txid === cutTxid) return false
      if (this.#bytes + more > bytes || this.#batches === batches) return false
    }
    this.#run.push(...this.#batch)
    this.#bytes += more
    this.#batches++
    this.#batch = []
    return this.#bytes <= bytes
  }
}

/** What a crash tore off in the middle is no batch with what comes later. */
function isSameBatch([first]: readonly Entry[], { from, to }: Entry['head']): boolean {
  return first !== undefined && isSameState(first.head.from, from) && first.head.to.txid === to.txid
}

/** Whether a batch begins here that goes on from the last one of the run. */
function leadsFrom(run: readonly Entry[], { from, to, isFirst }: Entry['head']): boolean {
  const { head: before } = run[run.length - 1]
  return (
    isFirst &&
    isSameState(before.to, from) &&
    before.to.incarnation === to.incarnation &&
    before.to.epoch === to.epoch
  )
}

/** Cut where a part would have more than `partBytes`. */
function runOf(run: readonly Entry[], partBytes: number): Omit<ChangesRun, 'isToEnd'> {
  const parts: Entry[][] = []
  let bytes = 0
  for (const entry of run) {
    bytes += entry.head.bytes
    if (parts.length === 0 || bytes > partBytes) {
      parts.push([])
      bytes = entry.head.bytes
    }
    parts[parts.length - 1].push(entry)
  }
  const last = run[run.length - 1]
  return {
    from: run[0].head.from,
    to: last.head.to,
    firstMs: run[0].head.timeMs,
    timeMs: last.head.timeMs,
    next: last.next,
    parts: parts.map((part) => ({
      at: part[0].at,
      entries: part.length,
      end: part[part.length - 1].next,
      continues: !part[0].head.isFirst,
      isOpen: !part[part.length - 1].head.isLast,
    })),
  }
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { head }) => sum + head.bytes, 0)
}
