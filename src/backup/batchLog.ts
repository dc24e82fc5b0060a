/**
 * The batches that no place has yet, in files beside the database: an archive that cannot be
 * reached for hours misses nothing, and a node that goes on after a crash knows where it stood.
 *
 * Files are appended to and never changed. What a crash tore off at the end of one is left out. The
 * log is not synced: after a power cut the database itself may lack its last commits. Positions
 * that are missing then are found by their checksums.
 */
import { asWalcastError, WalcastError } from '../errors.ts'
import { type FileOps, makeFolder } from '../platform/fileOps.ts'
import { closeSync, existsSync } from '../platform/files.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { type BatchHead, HEAD_BYTES, messageSum, type Stand } from './batchRecord.ts'
import type { LogReader } from './logReader.ts'
import {
  createLog,
  newSegment,
  pathIn,
  recordsIn,
  type Segment,
  segmentsIn,
} from './logSegments.ts'
import { PendingBatches } from './pendingBatches.ts'
import { type LogSpans, SegmentSpans } from './segmentSpans.ts'

/** Small batches are written together. */
const FLUSH_MS = 20
const SEGMENT_BYTES = 16 * 1024 * 1024

export interface BatchLogLimits {
  /** Of all files; the oldest go when there is more. */
  readonly maxBytes: number
  /** Of what is not written yet. */
  readonly maxPendingBytes: number
}

export interface BatchLogObserver {
  /** Files that a place may still have needed are gone: the bound was met. */
  onDropped(bytes: number): void
  /** What was appended and not written yet is gone. `isAgain`: the write before failed too. */
  onFailed(error: WalcastError, isAgain: boolean): void
}

/** Before a record of the log. */
export interface LogPlace {
  readonly segment: number
  readonly offset: number
}

export interface LogEntry {
  readonly head: BatchHead
  readonly at: LogPlace
  readonly next: LogPlace
  /**
   * The message, while the entries are gone through. Throws ARCHIVE_BROKEN when it is not what was
   * written: the log does not lead past it from then on.
   */
  message(): Promise<Buffer>
}

export class BatchLog {
  readonly #folder: string
  readonly #limits: BatchLogLimits
  readonly #ops: FileOps
  readonly #observer: BatchLogObserver
  readonly #segments: Segment[]
  readonly #pending: PendingBatches
  /** Number of the newest file that there was. */
  #newest: number
  /** Of the last write. */
  #error: WalcastError | undefined
  #fd: number | undefined
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #erasing: Promise<unknown> = Promise.resolve()

  private constructor(
    folder: string,
    limits: BatchLogLimits,
    ops: FileOps,
    observer: BatchLogObserver,
  ) {
    this.#folder = folder
    this.#limits = limits
    this.#pending = new PendingBatches(limits.maxPendingBytes)
    this.#ops = ops
    this.#observer = observer
    this.#segments = segmentsIn(folder)
    this.#newest = this.#segments.at(-1)?.number ?? 0
  }

  static open(
    folder: string,
    limits: BatchLogLimits,
    ops: FileOps,
    observer: BatchLogObserver,
  ): BatchLog {
    makeFolder(folder)
    return new BatchLog(folder, limits, ops, observer)
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get pendingBytes(): number {
    return this.#pending.bytes
  }

  /** Why it cannot be written to; undefined when the last write went well. */
  get error(): WalcastError | undefined {
    return this.#error
  }

  /** Behind all that is written. */
  get tail(): LogPlace {
    const last = this.#segments.at(-1)
    return this.#fd !== undefined && last
      ? { segment: last.number, offset: last.bytes }
      : { segment: this.#newest + 1, offset: 0 }
  }

  /** `message` must not change. False when too much waits to be written: it was not taken. */
  append(head: BatchHead, message: Buffer): boolean {
    if (!this.#pending.add(head, message)) return false
    if (!this.#writing) this.#timer ??= setTimer(() => this.#begin(), FLUSH_MS)
    return true
  }

  /** Resolves when everything appended so far can be read, or is lost. */
  async settled(): Promise<void> {
    if (this.#pending.isWaiting && !this.#writing) this.#begin()
    await this.#writing
  }

  /** The records from `place` on, or all, of what is written. */
  async *entries(place?: LogPlace): AsyncGenerator<LogEntry> {
    await this.settled()
    const segments = this.#segments.filter(({ number }) => number >= (place?.segment ?? 0))
    for (const { number, bytes } of segments) {
      const from = number === place?.segment ? place.offset : 0
      yield* this.#entriesIn(number, bytes, from)
    }
  }

  /** The batches among them: a mark of where a chain begins has no message. */
  batches(place?: LogPlace): AsyncGenerator<LogEntry> {
    return batchesOf(this.entries(place))
  }

  /** Where batches begin in what is written. Each head is read once for this. */
  async spans(): Promise<LogSpans> {
    await this.settled()
    for (const { number, bytes, spans } of [...this.#segments])
      for await (const { head, next } of this.#entriesIn(number, bytes, spans.offset))
        spans.take(head, next.offset)
    return SegmentSpans.all(this.#segments)
  }

  /** The batches of those files that may have some at the txids from `first` to `last`. */
  async *batchesAt(first: number, last: number): AsyncGenerator<LogEntry> {
    await this.spans()
    for (const { number, bytes, spans } of [...this.#segments])
      if (spans.mayHave(first, last)) yield* batchesOf(this.#entriesIn(number, bytes, 0))
  }

  /** The end of the last batch that was written whole. */
  async end(): Promise<Stand | undefined> {
    for (const { number, bytes } of this.#segments.toReversed()) {
      let end: Stand | undefined
      for await (const { head } of this.#entriesIn(number, bytes, 0)) if (head.isLast) end = head.to
      if (end) return end
    }
    return undefined
  }

  /** Removes files that lie wholly before `place`; the last one only when its room is needed. */
  trim(place: LogPlace): void {
    const least = this.#error ? 0 : 1
    while (this.#segments.length > least && this.#segments[0].number < place.segment) this.#drop()
  }

  async close(): Promise<void> {
    await this.settled()
    this.#endSegment()
    await this.#erasing
  }

  #begin(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    while (this.#pending.isWaiting) {
      const bytes = this.#pending.next()
      try {
        await this.#writeOut(bytes)
        this.#error = undefined
        this.#pending.onWritten(bytes.length)
      } catch (error) {
        const isAgain = this.#error !== undefined
        this.#error = asWalcastError(error)
        this.#endSegment()
        if (this.#segments.at(-1)?.bytes === 0) this.#erase(this.#segments.pop())
        // What was appended meanwhile follows from what is lost.
        this.#pending.drop()
        this.#observer.onFailed(this.#error, isAgain)
      }
    }
  }

  async #writeOut(bytes: Buffer): Promise<void> {
    const segment = this.#openSegment()
    const path = this.#pathOf(segment.number)
    await this.#ops.writeAside('log.append', this.#fd ?? -1, bytes, segment.bytes, path)
    segment.bytes += bytes.length
    if (segment.bytes >= SEGMENT_BYTES) this.#endSegment()
    for (let over = this.bytes; over > this.#limits.maxBytes && this.#segments.length > 1; ) {
      const { bytes: dropped } = this.#segments[0]
      this.#drop()
      this.#observer.onDropped(dropped)
      over -= dropped
    }
  }

  /** The file that is written to; a new one after a start or a failure. */
  #openSegment(): Segment {
    const last = this.#segments.at(-1)
    if (this.#fd !== undefined && last) {
      if (existsSync(this.#pathOf(last.number))) return last
      // Who removed it removed what was in it.
      this.#endSegment()
    }
    makeFolder(this.#folder)
    const segment = newSegment(++this.#newest)
    this.#fd = createLog(this.#pathOf(segment.number))
    this.#segments.push(segment)
    return segment
  }

  #endSegment(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #drop(): void {
    this.#erase(this.#segments.shift())
  }

  #erase(segment: Segment | undefined): void {
    if (!segment) return
    const erased = this.#ops.eraseAside('log.erase', this.#pathOf(segment.number))
    // What stays is found at the next start.
    this.#erasing = Promise.all([this.#erasing, erased.catch(() => {})])
  }

  /** The message of `head`. Nothing is read past one that was changed. */
  async #messageAt(
    reader: LogReader,
    head: BatchHead,
    { segment, offset }: LogPlace,
  ): Promise<Buffer> {
    const message = await reader.read(offset + HEAD_BYTES, head.bytes)
    if (message.length === head.bytes && messageSum(message) === head.sum) return message
    const cut = this.#segments.find(({ number }) => number === segment)
    if (cut) {
      cut.bytes = Math.min(cut.bytes, offset)
      if (cut === this.#segments.at(-1)) this.#endSegment()
    }
    const detail = `the batch at ${offset} was changed`
    throw new WalcastError('ARCHIVE_BROKEN', { name: this.#pathOf(segment), detail })
  }

  async *#entriesIn(number: number, bytes: number, from: number): AsyncGenerator<LogEntry> {
    const records = recordsIn(this.#pathOf(number), bytes, from)
    for await (const { reader, head, offset, end } of records) {
      const at = { segment: number, offset }
      const next = { segment: number, offset: end }
      yield { head, at, next, message: () => this.#messageAt(reader, head, at) }
    }
  }

  #pathOf(number: number): string {
    return pathIn(this.#folder, number)
  }
}

async function* batchesOf(entries: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry> {
  for await (const entry of entries) if (entry.head.bytes > 0) yield entry
}
