/**
 * Dated snapshots of a database, on a node that may have no archive: one at each pause, unless
 * nothing was committed since the last one.
 *
 *   waiting -> taken -> stored -> checked -> older ones that are not kept are removed -> waiting
 *                                       \-> removed, as it is not sound
 *
 * A check that could not be made is made again, of the same file, before anything else is taken.
 * Nothing older is removed before the new one was read back and compared. A kill at any step leaves
 * no half file under a name of a snapshot.
 */
import { join } from 'node:path'
import { formatPosition } from '../../../proto/position.ts'
import type { SnapshotReport } from '../../api/snapshotStatus.ts'
import { asWalcastError, messageOf, WalcastError } from '../../errors.ts'
import { Backoff } from '../../platform/backoff.ts'
import { type FileOps, makeFolder } from '../../platform/fileOps.ts'
import { removeAside } from '../../platform/files.ts'
import { freeBytes } from '../../platform/freeBytes.ts'
import { monotonicMs, wallMs } from '../../platform/time.ts'
import type { ArchiveSource, SourceState } from '../archiveSource.ts'
import type { ArchivedBatch } from '../batchChain.ts'
import type { BatchFollower } from '../batchFollower.ts'
import { SnapshotTaker } from '../snapshotTaker.ts'
import { WakeablePause } from '../wakeablePause.ts'
import { removeFolder } from './datedFolder.ts'
import { DatedPlace, type DatedPlaceParts, type SoundSnapshot } from './datedPlace.ts'
import { FullDisk } from './fullDisk.ts'

export interface DatedParts extends DatedPlaceParts {
  readonly db: string
  readonly everyMs: number
  readonly ops: FileOps
  /** `isFirst`: the one before was made. */
  onFailed(error: WalcastError, isFirst: boolean): void
  /** Bytes that are free where `path` is; undefined when it cannot be told. Replaced in tests. */
  freeAt?(path: string): number | undefined
}

/** After the first failure, and while the database is not ready. */
const AGAIN_MS = 10_000
/**
 * After many failures: each may cost the copy and the check of the whole database. A disk that was
 * full is looked at each `AGAIN_MS` meanwhile.
 */
const MAX_AGAIN_MS = 10 * 60_000
/** Overdue is what lacks for so many pauses. */
const OVERDUE_PAUSES = 2

export class DatedSnapshots implements BatchFollower {
  readonly #parts: DatedParts
  readonly #pause = new WakeablePause()
  readonly #ending = new AbortController()
  readonly #place: DatedPlace
  readonly #backoff: Backoff
  /** A killed node may have left something in `folder`. */
  #hasRemains = true
  #source: ArchiveSource | undefined
  #taker: SnapshotTaker | undefined
  /** When the newest snapshot had what the database had. */
  #levelMs = monotonicMs()
  #error: WalcastError | undefined
  #full: FullDisk | undefined
  #running: Promise<void> | undefined

  constructor(parts: DatedParts) {
    this.#parts = parts
    this.#place = new DatedPlace(parts, this.#ending.signal)
    this.#backoff = new Backoff(Math.min(parts.everyMs, AGAIN_MS), MAX_AGAIN_MS)
  }

  report(): SnapshotReport {
    const { place, everyMs } = this.#parts
    const sinceMs = Math.round(monotonicMs() - this.#levelMs)
    const last = this.#place.last
    const error = this.#error
    return {
      place,
      everyMs,
      ...(last
        ? {
            last: {
              name: last.name,
              position: formatPosition(last.position),
              at: new Date(last.timeMs).toISOString(),
              bytes: last.bytes,
            },
          }
        : {}),
      isOverdue: sinceMs > OVERDUE_PAUSES * everyMs,
      sinceMs,
      ...(error ? { lastError: { code: error.key, message: error.message } } : {}),
    }
  }

  attach(source: ArchiveSource): void {
    this.#source = source
    this.#running ??= this.#run()
  }

  detach(): void {
    this.#taker?.stop()
    this.#source = undefined
  }

  onBatch({ pageNumbers }: ArchivedBatch): void {
    this.#taker?.onCaptured(pageNumbers)
  }

  onRestart(): void {
    this.#taker?.stop()
  }

  /** A snapshot that is on its way is given up. */
  async stop(): Promise<void> {
    this.#pause.end()
    this.#ending.abort()
    this.detach()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#pause.isEnded) await this.#wait(await this.#round())
  }

  /** Ends early when a disk that was full has room. */
  async #wait(ms: number): Promise<void> {
    const full = this.#full
    const lookMs = full ? Math.min(this.#parts.everyMs, AGAIN_MS) : ms
    for (let leftMs = ms; leftMs > 0 && !this.#pause.isEnded && !full?.hasRoom; leftMs -= lookMs)
      await this.#pause.wait(Math.min(leftMs, lookMs))
  }

  /** Never rejects. Gives how long to wait. */
  async #round(): Promise<number> {
    const { everyMs, place, log, onFailed } = this.#parts
    const againMs = Math.min(everyMs, AGAIN_MS)
    try {
      const waitMs = await this.#advance()
      this.#error = undefined
      this.#full = undefined
      this.#backoff.reset()
      return waitMs ?? againMs
    } catch (error) {
      const failure = asWalcastError(error)
      this.#full = undefined
      if (failure.key === 'STOPPING' || failure.key === 'STARTING') return againMs
      const isFirst = this.#error === undefined
      if (this.#error?.key !== failure.key)
        log.error(
          { place, error: messageOf(failure) },
          'cannot make a dated snapshot; trying again',
        )
      this.#error = failure
      this.#full = this.#fullDisk(failure)
      onFailed(failure, isFirst)
      return this.#backoff.nextMs()
    }
  }

  #fullDisk({ key, details }: WalcastError): FullDisk | undefined {
    const { path } = details
    if (key !== 'DISK_FULL' || typeof path !== 'string') return undefined
    const state = this.#source?.state()
    const bytes = state ? state.source.sums.pages * state.pageSize : 0
    return new FullDisk(path, bytes, this.#parts.freeAt)
  }

  /** Gives when the next one is due, ms from now; undefined while the database is not ready. */
  async #advance(): Promise<number | undefined> {
    const { everyMs, folder } = this.#parts
    if (this.#hasRemains) await removeFolder(folder)
    this.#hasRemains = false
    const isResumed = await this.#place.resume()
    const source = this.#source
    source?.look()
    const state = source?.state()
    if (!source || !state || state.isOpen) return undefined
    const last = this.#place.last
    if (last && isAt(last, state)) return this.#onLevel()
    const ageMs = last ? wallMs() - last.timeMs : everyMs
    // Those of a process that was restarted count as well.
    if (isResumed && ageMs >= 0 && ageMs < everyMs) return everyMs - ageMs
    await this.#take(source, state)
    await this.#place.resume()
    return this.#onLevel()
  }

  #onLevel(): number {
    this.#levelMs = monotonicMs()
    return this.#parts.everyMs
  }

  async #take(source: ArchiveSource, state: SourceState): Promise<void> {
    const { db, folder, ops } = this.#parts
    const path = join(folder, 'taken')
    makeFolder(folder)
    requireRoom(folder, state)
    const taker = new SnapshotTaker(source, db, path, ops)
    this.#taker = taker
    try {
      await this.#place.put(await taker.run(state))
    } finally {
      this.#taker = undefined
      await removeAside(path).catch(() => {})
    }
  }
}

/** A history that began anew reaches the same positions with another content. */
function isAt({ position, checksum }: SoundSnapshot, state: SourceState): boolean {
  const { epoch, txid } = position
  return epoch === state.epoch && txid === state.txid && checksum === state.checksum
}

/** Throws DISK_FULL when a copy of the database has no room in `folder`. */
function requireRoom(folder: string, { source, pageSize }: SourceState): void {
  if (freeBytes(folder) < source.sums.pages * pageSize)
    throw new WalcastError('DISK_FULL', { path: folder })
}
