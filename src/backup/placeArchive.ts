/**
 * One place of the archive: brings it to where the log ends, again and again.
 *
 *   unknown -> at a position, from which files of changes lead on
 *           \-> snapshot, when nothing in the log follows from what the place has
 *
 * A file gets its name once it is whole and durable. So a crash at any moment leaves a place that
 * is sound, and behind by what the log still has.
 */
import type { Logger } from 'pino'
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, messageOf, type WalcastError } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { delay, monotonicMs } from '../platform/time.ts'
import type { BatchLog, LogPlace } from './batchLog.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { pageSizeAt, writeChanges } from './changesFile.ts'
import { type ChangesRun, nextRun } from './changesRun.ts'
import { type FileMark, headerOf } from './fileHeader.ts'
import { storeSnapshot } from './snapshotFile.ts'
import type { TakenSnapshot } from './snapshotTaker.ts'
import { endsOf, readEnd } from './storeEnds.ts'
import type { Store } from './stores/store.ts'

/** A file of changes has about so many bytes before compression, and so many positions, at most. */
const RUN_LIMITS = { bytes: 32 * 1024 * 1024, batches: 60_000 }
/** Ends of a place that are looked at for one to go on from. */
const MAX_ENDS = 16
/** How often a node looks that does not archive. */
const WATCH_EVERY_MS = 10_000

export interface PlaceParts {
  readonly place: string
  /** Opens the place: tried again when it fails. */
  open(): Promise<Store>
  readonly log: BatchLog
  readonly logger: Logger
  /** Pause between two looks at the log. */
  readonly everyMs: number
  mark(): FileMark
  /** Whether this node is the one that archives. */
  isOn(): boolean
  /** Where the log leads to; undefined while nothing is followed. */
  end(): Stand | undefined
  /**
   * Takes a snapshot of a position in the log or at its end. Its file is there until `use` ends.
   * Throws STOPPING or STARTING when that is impossible now.
   */
  withSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void>
  onArchived(files: number): void
  onFailed(error: WalcastError): void
}

export interface PlaceStatus {
  readonly place: string
  /** False while another node archives. */
  readonly isArchiving: boolean
  /** The newest position that can be restored from here; undefined until it is known. */
  readonly at: Stand | undefined
  /** When the leader noticed that position. */
  readonly timeMs: number | undefined
  /** When the leader noticed the oldest batch that is not here; undefined when there is none. */
  readonly behindSinceMs: number | undefined
  readonly error: WalcastError | undefined
}

export class PlaceArchive {
  readonly #parts: PlaceParts
  readonly #backoff: Backoff
  #store: Store | undefined
  #at: Stand | undefined
  /** What the place had when it could last be read or written. */
  #known: Stand | undefined
  #timeMs: number | undefined
  #behindSinceMs: number | undefined
  #cursor: LogPlace | undefined
  #error: WalcastError | undefined
  #isWatching = false
  #watchedMs = 0
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
      behindSinceMs: this.#behindSinceMs,
      error: this.#error,
    }
  }

  /** What the log still needs for this place. */
  get cursor(): LogPlace | undefined {
    return this.#cursor
  }

  /** A batch is in the log that the leader noticed at `timeMs`. */
  onAppended(timeMs: number): void {
    this.#behindSinceMs ??= timeMs
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Archives what there is, if that takes no failure, and ends. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
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
      this.#known = this.#at ?? this.#known
      this.#at = undefined
      const failure = asWalcastError(error)
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
    const end = this.#parts.end()
    if (!end) return false
    if (!this.#parts.isOn()) return this.#watch()
    if (this.#isWatching) this.#at = undefined
    this.#isWatching = false
    this.#at ??= await this.#findEnd()
    const at = this.#at
    if (at && isSameState(at, end)) {
      this.#behindSinceMs = undefined
      return false
    }
    const found = at && (await this.#find(at))
    if (!found) return this.#begin()
    this.#cursor = found
    const run = await nextRun(this.#parts.log.batches(found), RUN_LIMITS)
    if (!run) return false
    await this.#keep({ ...run, from: { ...at, checksum: at.checksum || run.from.checksum } })
    return true
  }

  /** Another node archives: what the place has by now is not needed in the log. */
  async #watch(): Promise<boolean> {
    const nowMs = monotonicMs()
    if (this.#isWatching && nowMs - this.#watchedMs < WATCH_EVERY_MS) return false
    this.#isWatching = true
    this.#watchedMs = nowMs
    this.#at = await this.#findEnd()
    this.#behindSinceMs = undefined
    if (this.#at) this.#cursor = (await this.#find(this.#at)) ?? this.#cursor
    return false
  }

  async #keep(run: ChangesRun): Promise<void> {
    const { log, mark, onArchived } = this.#parts
    const { from, to, parts } = run
    const store = await this.#open()
    const pageSize = await pageSizeAt(log, parts[0])
    const written = mark()
    const header = headerOf(written, { kind: 'changes', at: to, from, pageSize })
    for (const [i, part] of parts.entries()) {
      const name: ArchiveName = {
        kind: 'changes',
        level: 0,
        from,
        to,
        part: i + 1,
        isLast: i === parts.length - 1,
      }
      await store.create(formatArchiveName(name), (append) =>
        writeChanges(log, part, header, written.recipients, append),
      )
    }
    this.#at = to
    this.#timeMs = run.timeMs
    this.#behindSinceMs = run.timeMs
    this.#cursor = run.next
    onArchived(parts.length)
  }

  /** The record of the log that follows from `at`: the last one, as the log has it twice. */
  async #find(at: Stand): Promise<LogPlace | undefined> {
    const { log } = this.#parts
    if (this.#cursor) {
      for await (const { head } of log.batches(this.#cursor))
        if (head.isFirst && isSameState(head.from, at)) return this.#cursor
        else break
    }
    let found: LogPlace | undefined
    for await (const { head, at: place } of log.batches())
      if (head.isFirst && leadsOn(head.from, head.to, at)) found = place
    return found
  }

  /** Nothing leads on from what the place has: a snapshot begins a new way. */
  async #begin(): Promise<boolean> {
    const { place, mark, logger, withSnapshot, onArchived } = this.#parts
    const store = await this.#open()
    await withSnapshot(async (taken) => {
      const { at, timeMs, pages } = taken
      logger.info({ place, txid: at.txid, pages }, 'the archive begins with a snapshot; writing it')
      await storeSnapshot(store, taken, mark())
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

  /** The newest position of the place that the log leads on from, or ends at. */
  async #findEnd(): Promise<Stand | undefined> {
    const store = await this.#open()
    const names = await endsOf(store)
    for (const name of names.slice(0, MAX_ENDS)) {
      const end = await readEnd(store, name, this.#parts.mark().cluster)
      const present = this.#parts.end()
      if (!end || !present) continue
      if (isSameState(end.at, present) || (await this.#find(end.at))) {
        this.#timeMs = end.timeMs
        return end.at
      }
    }
    return undefined
  }
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
