/**
 * Archives a database from the node that has it, whatever its role: every batch goes into the log,
 * and from there to each place.
 *
 * Batches make a chain: each one begins in the state in which the one before ended. Where the chain
 * breaks (a batch is missing, pages were compared, the log is full), the places begin anew with a
 * snapshot; what they have stays.
 */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { decode } from '../../proto/codec.ts'
import { formatPosition } from '../../proto/position.ts'
import type { BackupReport, PlaceReport } from '../api/backupStatus.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { CapturedBatch } from '../feed/batch.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { rmSync } from '../platform/files.ts'
import { cancelTimer, setRepeatingTimer, type Timer, wallMs } from '../platform/time.ts'
import type { ArchiveSource, SourceState } from './archiveSource.ts'
import { BatchLog, type BatchLogLimits } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import type { FileMark } from './fileHeader.ts'
import { PlaceArchive, type PlaceStatus } from './placeArchive.ts'
import { SnapshotTaker, type TakenSnapshot } from './snapshotTaker.ts'
import type { Store } from './stores/store.ts'

/** What of a batch an archive needs. */
export type ArchivedBatch = Pick<
  CapturedBatch,
  'from' | 'txid' | 'checksum' | 'message' | 'last' | 'pageNumbers' | 'noticeMs'
>

export interface ArchiverOptions {
  readonly db: string
  /** Of the log and of snapshots on their way; the node's own. */
  readonly folder: string
  readonly limits: BatchLogLimits
  /** Pause between two files of a place. */
  readonly everyMs: number
  readonly log: Logger
  readonly ops: FileOps
  /** Folders or URLs. */
  readonly places: readonly string[]
  open(place: string): Promise<Store>
  mark(): FileMark
  readonly observer: ArchiverObserver
}

export interface ArchiverObserver {
  onArchived(place: string, files: number): void
  onFailed(place: string, code: string): void
  /** Batches that no place has are lost to the archive: it goes on with a snapshot. */
  onBroken(): void
}

export class Archiver {
  readonly #options: ArchiverOptions
  readonly #log: BatchLog
  readonly #places: readonly PlaceArchive[]
  #source: ArchiveSource | undefined
  /** Where the chain of batches ends. */
  #end: Stand | undefined
  /** A batch was begun, of which more messages follow. */
  #isWithin = false
  /** What follows of a batch is left out. */
  #isSkipping = false
  #taker: SnapshotTaker | undefined
  #taking: Promise<void> = Promise.resolve()
  #timer: Timer | undefined

  private constructor(options: ArchiverOptions) {
    this.#options = options
    const { folder, limits, ops } = options
    this.#log = BatchLog.open(join(folder, 'log'), limits, ops, {
      onDropped: (bytes) => this.#lose({ bytes }, 'the log of batches is full'),
      onFailed: (error) =>
        this.#lose({ error: messageOf(error) }, 'cannot write the log of batches'),
    })
    this.#places = options.places.map((place) => this.#newPlace(place))
  }

  /** Begins where the log ends. Nothing is archived before `attach`. */
  static async open(options: ArchiverOptions): Promise<Archiver> {
    const archiver = new Archiver(options)
    archiver.#end = await archiver.#log.end()
    return archiver
  }

  report(nowMs: number): BackupReport {
    return {
      places: this.#places.map(({ status }) => reportOf(status, nowMs)),
      logBytes: this.#log.bytes,
      queueBytes: this.#log.pendingBytes,
    }
  }

  /** Where the batches end that are archived, or wait for it. */
  get end(): Stand | undefined {
    return this.#end
  }

  /** From now on this engine's batches come. */
  attach(source: ArchiveSource): void {
    this.#source = source
    this.#isWithin = false
    const state = source.state()
    this.#isSkipping = state?.isOpen ?? false
    this.#goOn(source, state)
    for (const place of this.#places) place.start()
    this.#timer ??= setRepeatingTimer(() => this.#tick(), this.#options.everyMs).unref()
  }

  /** The engine ends. What was captured is in the log. */
  detach(): void {
    this.#taker?.stop()
    this.#source = undefined
  }

  /** Each message of a batch, in order; it must not change afterwards. */
  onBatch(batch: ArchivedBatch): void {
    this.#taker?.onCaptured(batch.pageNumbers)
    const source = this.#source
    if (!source) return
    if (!this.#isSkipping) this.#take(source, batch)
    if (batch.last) this.#isSkipping = false
  }

  /** A batch that was begun is not gone on with. */
  onRestart(): void {
    this.#isWithin = false
    this.#isSkipping = false
    this.#taker?.stop()
  }

  /** Archives what there is, once, and ends. */
  async stop(): Promise<void> {
    this.detach()
    cancelTimer(this.#timer)
    await this.#log.settled()
    await Promise.all(this.#places.map((place) => place.stop()))
    await this.#taking
    await this.#log.close()
  }

  /** Goes on where the log ends, if that is the state, or batches from there are at hand. */
  #goOn(source: ArchiveSource, state: SourceState | undefined): void {
    const end = this.#end
    if (!state) return
    if (end && isSameState(end, state)) return
    const messages = end && source.batchesAfter(end)
    if (messages) return this.#replay(source, messages)
    if (end)
      this.#options.log.warn(
        { from: end.txid, txid: state.txid },
        'the archive does not lead to where the database is; going on with a snapshot',
      )
    this.#end = state.isOpen ? undefined : standOf(state)
  }

  #replay(source: ArchiveSource, messages: readonly Buffer[]): void {
    for (const bytes of messages) {
      const { type, body } = decode(bytes)
      const end = this.#end
      if (type !== 'batch' || !end) return
      const { fromTxid, txid, checksum, last, noticeMs } = body
      const from = { txid: fromTxid, checksum: end.checksum }
      this.#take(source, { from, txid, checksum, last, noticeMs, message: bytes, pageNumbers: [] })
    }
  }

  #take(source: ArchiveSource, batch: ArchivedBatch): void {
    const { incarnation, epoch } = source.historyAt(batch.txid)
    const before = this.#end
    const follows = this.#isWithin || isFollowedBy(before, batch)
    if (before && !follows) this.#onGap(before, batch)
    const from = before && follows ? before : { incarnation, epoch, ...batch.from }
    const to = { incarnation, epoch, txid: batch.txid, checksum: batch.checksum }
    const isFirst = !this.#isWithin
    const timeMs = Math.floor(batch.noticeMs)
    const head = { from, to, isFirst, isLast: batch.last, timeMs, bytes: batch.message.length }
    if (!this.#log.append(head, batch.message)) {
      this.#isSkipping = !batch.last
      return this.#lose({}, 'the disk does not keep up with the log of batches')
    }
    for (const place of this.#places) place.onAppended(timeMs)
    this.#isWithin = !batch.last
    this.#end = batch.last ? to : from
  }

  #onGap({ txid }: Stand, { from }: ArchivedBatch): void {
    this.#lose({ txid, from: from.txid }, 'batches are missing in the archive')
  }

  #lose(what: object, why: string): void {
    this.#end = undefined
    this.#isWithin = false
    for (const place of this.#places) place.onAppended(this.#source?.leaderMs() ?? wallMs())
    this.#options.log.warn(what, `${why}; the archive goes on with a snapshot`)
    this.#options.observer.onBroken()
  }

  #tick(): void {
    this.#requireChain()
    const cursors = this.#places.map(({ cursor }) => cursor)
    if (cursors.length === 0 || cursors.includes(undefined)) return
    const [least] = cursors.flatMap((cursor) => cursor ?? []).sort((a, b) => a.segment - b.segment)
    this.#log.trim(least)
  }

  /** Pages that came by comparison are no batch. */
  #requireChain(): void {
    const state = this.#source?.state()
    if (!state || state.isOpen || this.#isWithin || this.#isSkipping) return
    const end = this.#end
    if (end && isSameState(end, state)) return
    if (end) this.#lose({ txid: end.txid, now: state.txid }, 'batches are missing in the archive')
    this.#end = standOf(state)
  }

  #newPlace(place: string): PlaceArchive {
    const { log: logger, everyMs, mark, observer, open } = this.#options
    return new PlaceArchive({
      place,
      open: () => open(place),
      log: this.#log,
      logger,
      everyMs,
      mark,
      end: () => this.#end,
      withSnapshot: (use) => this.#withSnapshot(use),
      onArchived: (files) => observer.onArchived(place, files),
      onFailed: ({ key }) => observer.onFailed(place, key),
    })
  }

  /** One after another: each needs room for the whole database. */
  #withSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void> {
    const taking = this.#taking.then(() => this.#takeSnapshot(use))
    this.#taking = taking.catch(() => {})
    return taking
  }

  async #takeSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void> {
    const { db, folder, ops } = this.#options
    const source = this.#source
    const state = source?.state()
    if (!source || !state) throw new WalcastError('STOPPING')
    const path = join(folder, 'snapshot')
    rmSync(path, { force: true })
    const taker = new SnapshotTaker(source, db, path, ops)
    this.#taker = taker
    try {
      await use(await taker.run(state))
    } finally {
      this.#taker = undefined
      rmSync(path, { force: true })
    }
  }
}

function isFollowedBy(end: Stand | undefined, { from }: ArchivedBatch): boolean {
  return end?.txid === from.txid && end.checksum === from.checksum
}

function reportOf(
  { place, at, timeMs, behindSinceMs, error }: PlaceStatus,
  nowMs: number,
): PlaceReport {
  const behindMs = behindSinceMs === undefined ? 0 : Math.max(0, nowMs - behindSinceMs)
  return {
    place,
    ...(at && timeMs !== undefined
      ? {
          restorableUntil: {
            position: formatPosition(at),
            incarnation: at.incarnation,
            at: new Date(timeMs).toISOString(),
          },
        }
      : {}),
    ...(at ? { behindMs: Math.round(behindMs) } : {}),
    ...(error ? { lastError: { code: error.key, message: error.message } } : {}),
  }
}

function standOf({ incarnation, epoch, txid, checksum }: SourceState): Stand {
  return { incarnation, epoch, txid, checksum }
}
