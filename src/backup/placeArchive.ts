/**
 * One place of the archive: brings it to where the log ends, again and again.
 *
 *   unknown -> at a position, from which files of changes lead on
 *           \-> snapshot, when nothing in the log follows from what the place has
 *
 * A file gets its name once it is whole and durable. So a crash at any moment leaves a place that
 * is sound, and behind by what the log still has.
 */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, type ErrorCode, keyOf, messageOf, type WalcastError } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { delay, monotonicMs, wallMs } from '../platform/time.ts'
import type { LogPlace } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { storeChanges } from './changesFile.ts'
import { type ChangesRun, nextRun } from './changesRun.ts'
import { recordAfter } from './logSearch.ts'
import { type PlaceFile, placingIn } from './placedFile.ts'
import { findPlaceEnd } from './placeEnd.ts'
import type { PlaceParts } from './placeParts.ts'
import type { PlaceStatus } from './placeStatus.ts'
import { type Finding, isPassed, Renewal, type Renewed, unsoundFile } from './renewal.ts'
import { storeSnapshot } from './snapshotFile.ts'
import { storedFiles } from './storedFiles.ts'
import type { Store } from './stores/store.ts'

/** A file of changes has about so many bytes before compression, and so many positions, at most. */
const RUN_LIMITS = { bytes: 32 * 1024 * 1024, batches: 60_000 }
/** How often a node looks at a place that it does not write to. */
const WATCH_EVERY_MS = 10_000
/** Failures after which a place is not known to have what it had. */
const IS_OTHER: ReadonlySet<ErrorCode> = new Set([
  'ARCHIVE_FOREIGN',
  'ARCHIVE_MISMATCH',
  'ARCHIVE_MISSING',
])

export class PlaceArchive {
  readonly #parts: PlaceParts
  readonly #backoff: Backoff
  #store: Store | undefined
  #at: Stand | undefined
  /** What the place had when it could last be read or written. */
  #known: Stand | undefined
  #timeMs: number | undefined
  /** The file that has `#at`. */
  #last: string | undefined
  /** In the leader's clock, and in this process's. */
  #noticed: { readonly timeMs: number; readonly sinceMs: number } | undefined
  #cursor: LogPlace | undefined
  #error: WalcastError | undefined
  readonly #renewal = new Renewal()
  #renewed: Renewed | undefined
  #isWatching = false
  #lookedMs = 0
  #isGivenUp = false
  #ending = new AbortController()
  #running: Promise<void> | undefined

  constructor(parts: PlaceParts) {
    this.#parts = parts
    this.#backoff = new Backoff(parts.everyMs, 30_000)
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
      renewed: this.#renewed,
      error: this.#error,
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
    this.#renewal.want(found)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Archives what there is, if that takes no failure, and ends. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
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

  async #run(): Promise<void> {
    const { signal } = this.#ending
    for (;;) {
      const isLast = signal.aborted
      const waitMs = await this.#advanceAll()
      if (isLast) return
      await delay(waitMs, { signal }).catch(() => {})
    }
  }

  /** Gives how long to wait. */
  async #advanceAll(): Promise<number> {
    const { everyMs, logger, onFailed } = this.#parts
    try {
      while (await this.#advance()) this.#backoff.reset()
      this.#error = undefined
      return everyMs
    } catch (error) {
      // Something else may have been written, or removed, meanwhile.
      const failure = asWalcastError(error)
      this.#known = IS_OTHER.has(failure.key) ? undefined : (this.#at ?? this.#known)
      this.#at = undefined
      const waitMs = this.#backoff.nextMs()
      if (failure.key !== 'STOPPING' && this.#error?.key !== failure.key)
        logger.warn(
          { place: this.#parts.place, error: messageOf(failure) },
          `cannot write the archive; trying again in ${Math.ceil(waitMs / 1000)} s`,
        )
      if (failure.key !== 'STOPPING') onFailed(failure)
      this.#error = failure
      return waitMs
    }
  }

  /** Whether there may be more to do at once. */
  async #advance(): Promise<boolean> {
    const { log } = this.#parts
    const end = this.#parts.end()
    if (!end) return false
    if (!this.#parts.isOn()) return this.#watch()
    if (this.#isWatching) this.#at = undefined
    this.#isWatching = false
    await this.#lookAgain(!this.#at || !isSameState(this.#at, end))
    const unsound = this.#renewal.due(monotonicMs())
    if (unsound && !this.#parts.isOpen() && (await this.#renew(unsound))) return true
    const at = this.#at
    if (at && isSameState(at, end)) {
      if (!this.#parts.isOpen()) this.#noticed = undefined
      return false
    }
    const found = at && (await recordAfter(log, at, this.#cursor))
    if (!found) return this.#begin()
    this.#cursor = found
    const run = await nextRun(log.batches(found), RUN_LIMITS)
    if (!run) return false
    await this.#keep({ ...run, from: { ...at, checksum: at.checksum || run.from.checksum } })
    return true
  }

  /** Another node archives: what the place has by now is not needed in the log. */
  async #watch(): Promise<boolean> {
    const nowMs = monotonicMs()
    if (this.#isWatching && nowMs - this.#lookedMs < WATCH_EVERY_MS) return false
    this.#isWatching = true
    this.#lookedMs = nowMs
    await this.#findEnd()
    this.#noticed = undefined
    const cursor = this.#at && (await recordAfter(this.#parts.log, this.#at, this.#cursor))
    this.#cursor = cursor ?? this.#cursor
    return false
  }

  async #keep(run: ChangesRun): Promise<void> {
    const { log, mark, onArchived } = this.#parts
    const { to, parts } = run
    const sinceMs = monotonicMs()
    this.#noticed ??= { timeMs: run.firstMs, sinceMs }
    const place = await this.#placing()
    this.#last = await storeChanges(place, log, run, mark())
    this.#at = to
    this.#timeMs = run.timeMs
    this.#lookedMs = monotonicMs()
    // What came meanwhile.
    this.#noticed = { timeMs: run.timeMs, sinceMs }
    this.#cursor = run.next
    onArchived(parts.length)
  }

  /** Whether a snapshot was taken, from which a restore does without the unsound file. */
  async #renew(found: Finding): Promise<boolean> {
    const { place, logger } = this.#parts
    const file = unsoundFile(found)
    if (file && isPassed(file, await storedFiles(await this.#open()))) return this.#renewal.settle()
    logger.error(
      { place, code: found.key, error: found.message },
      'a file of the archive is not sound; taking a new snapshot at once',
    )
    await this.#begin(file)
    this.#renewal.done(monotonicMs())
    this.#renewed = { atMs: wallMs(), found }
    return true
  }

  /**
   * Nothing leads on from what the place has: a snapshot begins a new way. `unsound`: a file that
   * is not taken for what it should be.
   */
  async #begin(unsound?: ArchiveName): Promise<boolean> {
    const { place, mark, logger, withSnapshot, onArchived } = this.#parts
    const toPlace = await this.#placing(unsound)
    await withSnapshot(async (taken) => {
      const { at, timeMs, pages } = taken
      logger.info({ place, txid: at.txid, pages }, 'the archive begins with a snapshot; writing it')
      this.#last = await storeSnapshot(toPlace, taken, mark())
      this.#lookedMs = monotonicMs()
      this.#at = at
      this.#timeMs = timeMs
      this.#cursor = undefined
      onArchived(1)
    })
    return true
  }

  async #open(): Promise<Store> {
    this.#store ??= await this.#parts.open()
    return this.#store
  }

  async #placing(unsound?: ArchiveName): Promise<PlaceFile> {
    const { place, logger, mark } = this.#parts
    return placingIn(await this.#open(), mark().cluster, {
      isGivenUp: () => this.#isGivenUp,
      isUnsound: (name) => unsound !== undefined && formatArchiveName(unsound) === name,
      onReplaced: (file) =>
        logger.error({ place, file }, 'a file of the archive is not sound; writing it again'),
    })
  }

  /** Somebody may have removed the place, or put another in its place: then it is read anew. */
  async #lookAgain(isWriting: boolean): Promise<void> {
    if (!this.#at) return this.#findEnd()
    const nowMs = monotonicMs()
    if (!isWriting && nowMs - this.#lookedMs < WATCH_EVERY_MS) return
    this.#lookedMs = nowMs
    try {
      const file = await (await this.#open()).open(this.#last ?? '')
      await file.close()
    } catch (error) {
      if (keyOf(error) !== 'ARCHIVE_MISSING') throw error
      this.#at = undefined
      await this.#findEnd()
    }
  }

  async #findEnd(): Promise<void> {
    const { place, log, logger, onFailed } = this.#parts
    const present = this.#parts.end()
    const end =
      present &&
      (await findPlaceEnd({
        store: await this.#open(),
        cluster: this.#parts.mark().cluster,
        log,
        present,
        leadsOn: async (at) => (await recordAfter(log, at, this.#cursor)) !== undefined,
        onBroken: (file, error) => {
          const about = { place, file, error: messageOf(error) }
          logger.error(about, 'the archive goes on from an older file: this one is not sound')
          onFailed(error)
        },
      }))
    if (end?.leaves && this.#parts.isOn())
      logger.info(
        { place, txid: end.at.txid, abandoned: end.leaves.txid },
        'the archive goes on from inside a file; what that has after it stays',
      )
    this.#timeMs = end?.timeMs
    this.#last = end?.name
    this.#lookedMs = monotonicMs()
    this.#at = end?.at
  }
}
