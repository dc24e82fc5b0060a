/**
 * The batches of a database as they go into the log, each from the state in which the one before
 * ended. Where a batch is missing, pages were compared, or the log cannot be written, the chain
 * begins anew where the database is.
 */
import { decode } from '../../proto/codec.ts'
import type { CapturedBatch } from '../feed/batch.ts'
import type { ArchiveSource, SourceState } from './archiveSource.ts'
import type { BatchLog } from './batchLog.ts'
import { isSameState, messageSum, type Stand } from './batchRecord.ts'

/** What of a batch an archive needs. */
export type ArchivedBatch = Pick<
  CapturedBatch,
  'from' | 'txid' | 'checksum' | 'message' | 'last' | 'pageNumbers' | 'noticeMs'
>

const NO_MESSAGE = Buffer.alloc(0)

export interface BatchChainHost {
  /** A message is in the log of a batch that the leader noticed at `timeMs`. */
  onAppended(timeMs: number): void
  /** What follows does not follow from what is in the log. */
  onBroken(why: string, about: object): void
}

export class BatchChain {
  readonly #log: BatchLog
  readonly #host: BatchChainHost
  #source: ArchiveSource | undefined
  #end: Stand | undefined
  /** When the leader noticed the batch that ends there; undefined when none is known. */
  #endMs: number | undefined
  /** A batch was begun, of which more messages follow. */
  #isWithin = false
  /** The rest of a batch is left out. */
  #isSkipping = false
  /** The log lacks batches: nothing is taken before `requireLevel` goes on or begins anew. */
  #isWaiting = false
  /** Where the log ended when the leader's history was last asked for what follows. */
  #askedAfter: Stand | undefined

  /** `end`: of the log. */
  constructor(log: BatchLog, end: Stand | undefined, host: BatchChainHost) {
    this.#log = log
    this.#end = end
    this.#host = host
  }

  /** Where the last batch ends; undefined while nothing is followed. */
  get end(): Stand | undefined {
    return this.#end
  }

  /** When the leader noticed `at`, in its clock; undefined unless the last batch ends there. */
  noticedMs(at: Stand): number | undefined {
    return this.#end && isSameState(this.#end, at) ? this.#endMs : undefined
  }

  /** Whether more of the batch follows with which `end` is left, or the database is unknown. */
  get isOpen(): boolean {
    const isBetween = !this.#isWithin && !this.#isSkipping && !this.#isWaiting
    return !isBetween || this.#source?.state() === undefined
  }

  get source(): ArchiveSource | undefined {
    return this.#source
  }

  /** From now on this engine's batches come, those before it as far as it has them. */
  attach(source: ArchiveSource): void {
    this.#source = source
    this.#isWithin = false
    const state = source.state()
    this.#isSkipping = state?.isOpen ?? false
    const end = this.#end
    const messages = state && end && !isSameState(end, state) && source.batchesAfter(end)
    if (messages) this.#replay(source, messages)
    else this.requireLevel()
  }

  detach(): void {
    this.#source = undefined
  }

  /** Each message of a batch, in order; it must not change afterwards. */
  onBatch(batch: ArchivedBatch): void {
    const source = this.#source
    if (!source) return
    if (this.#isWaiting) this.#isSkipping = true
    if (!this.#isSkipping) this.#take(source, batch)
    if (batch.last) this.#isSkipping = false
  }

  /** A batch that was begun is not gone on with. */
  onRestart(): void {
    this.#isWithin = false
    this.#isSkipping = false
  }

  /**
   * What was taken is not in the log, and neither is the rest of a batch that was begun. `isAgain`:
   * that was so before.
   */
  onLogFailed(why: string, about: object, isAgain = false): void {
    this.#end = undefined
    this.#isWaiting = true
    this.#isSkipping ||= this.#isWithin
    this.#isWithin = false
    if (!isAgain) this.#host.onBroken(why, about)
  }

  /** To be called now and then: pages that came by comparison are no batch. */
  requireLevel(): void {
    const source = this.#source
    const state = source?.state()
    if (!source || !state || state.isOpen || this.#isWithin || this.#isSkipping) return
    const end = this.#end
    if (end && isSameState(end, state)) return
    if (end && this.#isWaiting) {
      // What waits to be written has room for more then.
      if (this.#log.pendingBytes > 0 || this.#goOn(source, end)) return
    }
    if (end) this.#host.onBroken('batches are missing', { from: end.txid, to: state.txid })
    this.#begin(standOf(state), Math.floor(this.#source?.leaderMs() ?? 0))
  }

  /** Marked in the log: a node that is killed before the next batch goes on from here. */
  #begin(at: Stand, timeMs: number): void {
    const mark = { from: at, to: at, isFirst: true, isLast: true, timeMs, ...measureOf(NO_MESSAGE) }
    if (!this.#log.append(mark, NO_MESSAGE)) return
    this.#end = at
    this.#endMs = undefined
    this.#isWaiting = false
  }

  /** Whether the leader's history has what follows `end`: it is in the log then, or some of it. */
  #goOn(source: ArchiveSource, end: Stand): boolean {
    const isAgain = this.#askedAfter !== undefined && isSameState(end, this.#askedAfter)
    const messages = isAgain ? undefined : source.batchesAfter(end)
    if (!messages) return false
    this.#askedAfter = end
    this.#isWaiting = false
    this.#replay(source, messages)
    this.#isSkipping = false
    return true
  }

  #replay(source: ArchiveSource, messages: readonly Buffer[]): void {
    for (const message of messages) {
      const { type, body } = decode(message)
      const end = this.#end
      if (type !== 'batch' || !end || this.#isWaiting) return
      const { fromTxid, txid, checksum, last, noticeMs } = body
      const from = { txid: fromTxid, checksum: end.checksum }
      this.#take(source, { from, txid, checksum, last, noticeMs, message, pageNumbers: [] })
    }
  }

  #take(source: ArchiveSource, batch: ArchivedBatch): void {
    const { txid, checksum, message, last } = batch
    const history = source.historyAt(txid)
    const from = this.#fromOf(batch, history)
    const to = { ...history, txid, checksum }
    const timeMs = Math.floor(batch.noticeMs)
    const isFirst = !this.#isWithin
    const head = { from, to, isFirst, isLast: last, timeMs, ...measureOf(message) }
    if (!this.#log.append(head, message)) {
      this.#isSkipping = !last
      return this.#onFull(source, txid)
    }
    this.#host.onAppended(timeMs)
    this.#isWithin = !last
    this.#end = last ? to : from
    this.#endMs = last ? timeMs : undefined
  }

  /** What waits to be written is whole up to the last batch before this one. */
  #onFull(source: ArchiveSource, txid: number): void {
    const why = 'the disk does not keep up with the log of batches'
    if (!this.#end || !source.batchesAfter(this.#end)) return this.onLogFailed(why, { txid })
    this.#isWithin = false
    this.#isWaiting = true
  }

  #fromOf(
    { from, txid }: ArchivedBatch,
    { incarnation, epoch }: ReturnType<ArchiveSource['historyAt']>,
  ): Stand {
    const end = this.#end
    const follows = this.#isWithin || (end?.txid === from.txid && end.checksum === from.checksum)
    if (end && follows) return end
    if (end) this.#host.onBroken('batches are missing', { from: end.txid, to: txid })
    return { incarnation, epoch, ...from }
  }
}

function measureOf(message: Buffer): { readonly bytes: number; readonly sum: number } {
  return { bytes: message.length, sum: messageSum(message) }
}

function standOf({ incarnation, epoch, txid, checksum }: SourceState): Stand {
  return { incarnation, epoch, txid, checksum }
}
