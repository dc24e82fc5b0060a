/**
 * One place of the archive: brings it to where the log ends, again and again.
 *
 *   unknown -> at a position, from which files of changes lead on
 *           \-> snapshot, when nothing in the log follows from what the place has
 *
 * A file gets its name once it is whole and durable. So a crash at any moment leaves a place that
 * is sound, and behind by what the log still has.
 */

import type { Position } from '../../proto/position.ts'
import { type ErrorCode, keyOf, messageOf, type WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import type { LogPlace } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { storeRun } from './changesFile.ts'
import { type ChangesRun, nextRun } from './changesRun.ts'
import type { Finding } from './contentFailures.ts'
import { leadsOn, recordAfter } from './logSearch.ts'
import { PlaceFiles } from './placeFiles.ts'
import type { PlaceParts } from './placeParts.ts'
import { PlaceProgress } from './placeProgress.ts'
import { PlaceRounds } from './placeRounds.ts'
import { PlaceSnapshots } from './placeSnapshots.ts'
import type { PlaceStatus } from './placeStatus.ts'
import { storeSnapshot } from './snapshotFile.ts'
import type { TakenSnapshot } from './snapshotTaker.ts'
import { StandIn } from './standIn.ts'

/** A file of changes has about so many bytes before compression, and so many positions, at most. */
const RUN_LIMITS = { bytes: 32 * 1024 * 1024, batches: 60_000 }
/** How often a node looks at a place that it does not write to. */
const WATCH_EVERY_MS = 10_000
/** Failures after which a place is not known to have what it had. */
const OTHERS: readonly ErrorCode[] = ['ARCHIVE_FOREIGN', 'ARCHIVE_MISMATCH', 'ARCHIVE_MISSING']

export class PlaceArchive {
  readonly progress = new PlaceProgress()
  readonly #parts: PlaceParts
  readonly #rounds: PlaceRounds
  readonly #files: PlaceFiles
  #at: Stand | undefined
  /** What the place had when it could last be read or written. */
  #known: Stand | undefined
  #timeMs: number | undefined
  /** Where the log led to, when that was last known. */
  #present: Stand | undefined
  /** The file that has `#at`. */
  #last: string | undefined
  /** In the leader's clock, and in this process's. */
  #noticed: { readonly timeMs: number; readonly sinceMs: number } | undefined
  #cursor: LogPlace | undefined
  #isWatching = false
  #lookedMs = 0
  /** Bytes of a log that has nothing for this place. */
  #leftBytes = -1
  readonly #standIn = new StandIn()
  #isGivenUp = false
  readonly #snapshots: PlaceSnapshots

  constructor(parts: PlaceParts) {
    this.#parts = parts
    this.#rounds = new PlaceRounds({
      everyMs: parts.everyMs,
      soonerMs: () => this.#snapshots.retryMs,
      advance: () => this.#advance(),
      progress: this.progress,
      onFailed: (failure, waitMs, isNew) => this.#onFailed(failure, waitMs, isNew),
      onRecovered: () => this.#files.onRecovered(),
    })
    this.#files = new PlaceFiles(parts, this.progress, () => this.#isGivenUp)
    this.#snapshots = new PlaceSnapshots({
      ...{ parts, files: this.#files, progress: this.progress },
      onEnded: () => this.#rounds.wake(),
    })
  }

  get status(): PlaceStatus {
    return {
      place: this.#parts.place,
      isArchiving: !this.#isWatching,
      at: this.#at ?? this.#known,
      timeMs: this.#timeMs,
      waiting: this.#noticed && {
        timeMs: this.#noticed.timeMs,
        forMs: monotonicMs() - this.#noticed.sinceMs,
      },
      isLevel: this.#isLevel(),
      isTakingSnapshot: this.#snapshots.isTaking,
      writing: this.progress.writing,
      renewed: this.#snapshots.renewed,
      error: this.#rounds.error ?? this.#parts.log.error,
    }
  }

  /** What the log still needs for this place. */
  get cursor(): LogPlace | undefined {
    return this.#cursor
  }

  /** A batch is in the log that the leader noticed at `timeMs`. */
  onAppended(timeMs: number): void {
    this.#noticed ??= { timeMs, sinceMs: monotonicMs() }
  }

  /** A file of the place was found unsound: a snapshot follows, if one helps. */
  onUnsound(found: Finding): void {
    this.#snapshots.onUnsound(found)
  }

  start(): void {
    this.#rounds.start()
  }

  /** A snapshot is wanted that has `from`, which the node has; without it any will do. */
  wantSnapshot(from?: Position): void {
    this.#snapshots.want(from)
    this.hurry()
  }

  /** What is in the log goes to the place at once, and after it a snapshot that is wanted. */
  hurry(): void {
    this.#lookedMs = Number.NEGATIVE_INFINITY
    this.#rounds.wake()
  }

  /** Archives what there is, if that takes no failure, and ends. */
  async stop(): Promise<void> {
    await this.#rounds.stop()
    await this.#snapshots.settled()
  }

  /** Nothing more is written: a place does not hold up the end of a node for long. */
  giveUp(): void {
    this.#isGivenUp = true
  }

  #isLevel(): boolean | undefined {
    const end = this.#parts.end()
    if (!this.#at || !end) return undefined
    if (!isSameState(this.#at, end)) return false
    return this.#parts.isOpen() ? undefined : true
  }

  /** Something else may have been written, or removed, meanwhile. */
  #onFailed(failure: WalcastError, waitMs: number, isNew: boolean): void {
    const { place, logger, onFailed } = this.#parts
    this.#known = OTHERS.includes(failure.key) ? undefined : (this.#at ?? this.#known)
    this.#at = undefined
    this.progress.writing = undefined
    if (failure.key === 'STOPPING') return
    if (isNew)
      logger.warn(
        { place, code: failure.key, error: messageOf(failure) },
        `cannot write the archive; trying again in ${Math.ceil(waitMs / 1000)} s`,
      )
    this.progress.failures++
    onFailed(failure)
  }

  /** Whether there may be more to do at once. */
  async #advance(): Promise<boolean> {
    const { log } = this.#parts
    const end = this.#parts.end()
    this.#present = end ?? this.#present
    if (!this.#present) return false
    if (!this.#isMine()) return this.#watch()
    if (this.#isWatching) this.#at = undefined
    this.#isWatching = false
    await this.#lookAgain(!this.#at || !isSameState(this.#at, this.#present))
    this.#snapshots.requireSound()
    const at = this.#at
    if (end && at && (await this.#snapshots.takeDue(at))) return true
    if (end && at && isSameState(at, end)) {
      if (!this.#parts.isOpen()) this.#noticed = undefined
      return false
    }
    if (!end && log.bytes === this.#leftBytes) return false
    const found = at && (await recordAfter(log, at, this.#cursor))
    if (!found) return end ? this.#begin() : this.#leaveLog()
    this.#cursor = found
    const run = await nextRun(log.batches(found), {
      ...RUN_LIMITS,
      cutTxid: this.#snapshots.cutTxid,
    })
    // Of a batch that was torn off the rest never comes, and what is behind it does not follow.
    const isTorn = !run || !leadsOn(run.from, run.to, at)
    if (isTorn && end && this.#parts.end()) return this.#begin()
    if (!run) return !end && this.#leaveLog()
    await this.#keep({ ...run, from: { ...at, checksum: at.checksum || run.from.checksum } })
    // What came meanwhile waits for the next round: files are few while commits are many.
    return !run.isToEnd || this.#isLevel() !== false
  }

  /** The log cannot be written to, and this place needs no more of it: its room may be needed. */
  #leaveLog(): boolean {
    const { log } = this.#parts
    this.#cursor = log.tail
    this.#leftBytes = log.bytes
    return false
  }

  #isMine(): boolean {
    if (!this.#parts.isOn()) return this.#standIn.isOn(monotonicMs())
    this.#standIn.end()
    return true
  }

  /** Another node archives: what the place has by now is not needed in the log. */
  async #watch(): Promise<boolean> {
    const nowMs = monotonicMs()
    const patienceMs = this.#parts.mayStandInMs() ?? Number.POSITIVE_INFINITY
    const everyMs = Math.min(WATCH_EVERY_MS, patienceMs)
    if (this.#isWatching && nowMs - this.#lookedMs < everyMs) return false
    this.#isWatching = true
    this.#lookedMs = nowMs
    await this.#findEnd()
    this.#noticed = undefined
    const cursor = this.#at && (await recordAfter(this.#parts.log, this.#at, this.#cursor))
    this.#cursor = cursor ?? this.#cursor
    const end = this.#parts.end()
    const isLeft = end !== undefined && this.#standIn.look(this.#at, end, patienceMs, nowMs)
    if (isLeft)
      this.#parts.logger.warn(
        { place: this.#parts.place },
        'no other node writes this archive; this one writes it for now',
      )
    return isLeft
  }

  async #keep(run: ChangesRun): Promise<void> {
    const { log, mark, onArchived } = this.#parts
    const sinceMs = monotonicMs()
    this.#noticed ??= { timeMs: run.firstMs, sinceMs }
    this.#last = await storeRun(await this.#files.placing(), log, run, mark())
    this.#at = run.to
    this.#timeMs = run.timeMs
    this.#lookedMs = monotonicMs()
    // What came meanwhile.
    this.#noticed = { timeMs: run.timeMs, sinceMs }
    this.#cursor = run.next
    onArchived(run.parts.length)
  }

  /** Nothing leads on from what the place has: a snapshot begins a new way. */
  async #begin(): Promise<boolean> {
    const { place, log, mark, logger, withSnapshot } = this.#parts
    if (await this.#files.areLeft()) return false
    const toPlace = await this.#files.placing()
    const { wanted } = this.#snapshots
    // A snapshot is of a later position than all that is in the log. Until it is in the place, the
    // log keeps what it has: the place may come back as it was, and that leads on from there.
    const { tail } = log
    const store = async (taken: TakenSnapshot) => {
      const { at, timeMs, pages } = taken
      logger.info({ place, txid: at.txid, pages }, 'the archive begins with a snapshot; writing it')
      this.#last = await storeSnapshot(toPlace, taken, mark(), this.progress.onWriting)
      this.#lookedMs = monotonicMs()
      this.#at = at
      this.#timeMs = timeMs
      this.#cursor = tail
      this.#snapshots.onStored(this.#last, at, wanted)
    }
    await withSnapshot(store).catch((error) => {
      // The log may be what fills the disk.
      if (keyOf(error) === 'DISK_FULL') this.#cursor = tail
      throw error
    })
    return true
  }

  /** Somebody may have removed the place, or put another in its place: then it is read anew. */
  async #lookAgain(isWriting: boolean): Promise<void> {
    if (!this.#at) return this.#findEnd()
    const nowMs = monotonicMs()
    if (!isWriting && nowMs - this.#lookedMs < WATCH_EVERY_MS) return
    this.#lookedMs = nowMs
    if (await this.#files.isThere(this.#last ?? '', this.#at)) return
    this.#at = this.#known = undefined
    await this.#findEnd()
  }

  async #findEnd(): Promise<void> {
    if (!this.#present) return
    const end = await this.#files.end(this.#present, this.#cursor)
    this.#known = this.#at ?? this.#known
    this.#lookedMs = monotonicMs()
    this.#at = end?.at
    this.#last = end?.name
    if (end) this.#timeMs = end.timeMs
    else if (this.#known && !(await this.#files.isReached(this.#known))) this.#known = undefined
  }
}
