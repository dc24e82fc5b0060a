/**
 * Keeps a place small while this node archives there: rounds of an `ArchiveCompactor`, which merge
 * files and remove what the policy lets go. A round begins only while the place is nearly level,
 * and ends early when the place falls behind. It runs beside the writing of new files: it never
 * touches a file that is being written, nor the end that the next file goes on from.
 *
 * This node reads the encrypted files of changes that it wrote lately, and no other ones: it merges
 * those, and a new snapshot is one of the database.
 */
import type { Logger } from 'pino'
import { asWalcastError, messageOf, type WalcastError } from '../errors.ts'
import type { KeepPolicy } from '../options/keepPolicy.ts'
import { cancelTimer, monotonicMs, setRepeatingTimer, wallMs } from '../platform/time.ts'
import { ArchiveCompactor } from './archiveCompactor.ts'
import { isSameState, type Stand } from './batchRecord.ts'
import { SNAPSHOT_BOUNDS } from './compaction/dueSnapshot.ts'
import type { CompactionReport } from './compaction/roundReport.ts'
import { type Finding, lastingFile } from './contentFailures.ts'
import type { FileMark } from './fileHeader.ts'
import { behindOf, type PlaceStatus } from './placeStatus.ts'
import { noteBroken } from './retention/brokenNotes.ts'
import { HOUR_MS } from './retention/periods.ts'
import type { Store } from './stores/store.ts'

/** No round begins while a commit waits for the place longer than this. */
const MAX_BEHIND_MS = 5000
/** A round that runs ends then: the disk or the network is needed for new files. */
const MAX_BEHIND_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 1000
/** A place that nothing is added to only ages. */
const IDLE_EVERY_MS = HOUR_MS

export interface UpkeepParts {
  readonly place: string
  open(): Promise<Store>
  readonly logger: Logger
  /** Undefined: everything stays. */
  readonly keep: KeepPolicy | undefined
  /** Of the files that are written now. Throws STARTING. */
  mark(): Pick<FileMark, 'node' | 'writer' | 'recipients' | 'keys'>
  status(): PlaceStatus
  /** The leader's clock, ms since 1970. */
  leaderMs(): number
  /** A snapshot is due that cannot be made of the files of the place. */
  onSnapshotDue(): void
  onRound(): void
  /** A file was read, and is not sound; or it is noted so, and nothing passes it. */
  onUnsound(error: WalcastError): void
  onFailed(error: WalcastError): void
}

export interface UpkeepStatus {
  /** When the last round ended, ms since 1970. */
  readonly endedMs: number
  readonly report: CompactionReport
}

export class PlaceUpkeep {
  readonly #parts: UpkeepParts
  #compactor: ArchiveCompactor | undefined
  #last: UpkeepStatus | undefined
  #error: WalcastError | undefined
  /** The position at which nothing was left to do, and when that was. */
  #settled: { readonly at: Stand; readonly sinceMs: number } | undefined
  #warned: string | undefined
  #noting: Promise<void> = Promise.resolve()

  constructor(parts: UpkeepParts) {
    this.#parts = parts
  }

  /** Of the last round; undefined before the first. */
  get status(): UpkeepStatus | undefined {
    return this.#last
  }

  /** Why the last round did not do everything. */
  get error(): WalcastError | undefined {
    return this.#error
  }

  /** Something else than a round has read a file that is not sound: the place gets a note of it. */
  note(found: Finding): void {
    const { place, logger } = this.#parts
    this.#noting = this.#noting
      .then(() => this.#write(found))
      .catch((error) => {
        const about = { place, error: messageOf(error) }
        logger.warn(about, 'cannot note in the archive that a file is not sound')
      })
  }

  /** Every note is written, or cannot be. */
  settled(): Promise<void> {
    return this.#noting
  }

  /** One round, if one is due. It throws nothing, and ends soon once `ending` is aborted. */
  async round(ending: AbortSignal): Promise<void> {
    if (ending.aborted || !this.#isDue()) return
    const limit = new AbortController()
    const looking = setRepeatingTimer(() => {
      if (!this.#isLevel(MAX_BEHIND_WITHIN_MS)) limit.abort()
    }, LOOK_EVERY_MS)
    const signal = AbortSignal.any([ending, limit.signal])
    try {
      const { at } = this.#parts.status()
      const compactor = await this.#open()
      this.#end(await compactor.run(signal), signal.aborted ? undefined : at)
    } catch (error) {
      if (!signal.aborted) this.#fail([asWalcastError(error)])
    } finally {
      cancelTimer(looking)
    }
  }

  async #write(found: Finding): Promise<void> {
    const file = lastingFile(found)
    if (file === undefined) return
    const { open, mark } = this.#parts
    const foundMs = Math.round(wallMs())
    await noteBroken(await open(), { file, code: found.key, foundMs, by: mark().node })
  }

  #isDue(): boolean {
    const { at, isTakingSnapshot } = this.#parts.status()
    // A round that does not see the snapshot would ask for another one.
    if (!at || isTakingSnapshot || !this.#isLevel(MAX_BEHIND_MS)) return false
    const settled = this.#settled
    if (!settled || !isSameState(settled.at, at)) return true
    return monotonicMs() - settled.sinceMs >= IDLE_EVERY_MS
  }

  #isLevel(mostMs: number): boolean {
    const status = this.#parts.status()
    const { isArchiving, at, error } = status
    const behindMs = behindOf(status, this.#parts.leaderMs())
    return isArchiving && at !== undefined && !error && behindMs !== undefined && behindMs < mostMs
  }

  async #open(): Promise<ArchiveCompactor> {
    const { open, keep, mark } = this.#parts
    const { node, writer, recipients, keys } = mark()
    const sealing = recipients && { recipients, ...(keys ? { keys } : {}) }
    this.#compactor ??= new ArchiveCompactor(
      await open(),
      { nowMs: wallMs },
      {
        ...{ keep, snapshots: SNAPSHOT_BOUNDS, node, writer },
        ...(sealing ? { sealing } : {}),
      },
    )
    return this.#compactor
  }

  /** `at`: where the place was when the round began; undefined when it was broken off. */
  #end(report: CompactionReport, at: Stand | undefined): void {
    this.#last = { endedMs: wallMs(), report }
    this.#parts.onRound()
    const { merged, thinned, snapshot, removed, problems, noted } = report
    if (report.isSnapshotDue) this.#parts.onSnapshotDue()
    for (const found of [...problems, ...noted]) this.#parts.onUnsound(found)
    // Another process keeps the place as well: what it removed is no failure.
    this.#fail(problems.filter(({ key }) => key !== 'ARCHIVE_MISSING'))
    this.#warn(report)
    const isQuiet = merged.length + thinned.length + removed.length + problems.length === 0
    const isSettled = isQuiet && !snapshot && !report.isSnapshotDue
    this.#settled = at && isSettled ? { at, sinceMs: monotonicMs() } : undefined
  }

  /** Each kind is logged once until a round goes well. */
  #fail(errors: readonly WalcastError[]): void {
    const { logger, place, onFailed } = this.#parts
    for (const error of errors) onFailed(error)
    const [first] = errors
    if (first && first.key !== this.#error?.key)
      logger.warn(
        { place, error: messageOf(first), problems: errors.length },
        'cannot merge or remove some files of the archive; trying again in the next round',
      )
    this.#error = first
  }

  #warn({ refused, overBytes }: CompactionReport): void {
    const { logger, place } = this.#parts
    const warned = refused !== undefined ? 'refused' : overBytes > 0 ? 'over' : undefined
    if (warned === 'refused' && this.#warned !== warned)
      logger.warn({ place, reason: refused }, 'nothing of the archive is removed for its age')
    if (warned === 'over' && this.#warned !== warned)
      logger.warn(
        { place, overBytes },
        'the archive is larger than --keep says; the last day stays',
      )
    this.#warned = warned
  }
}
