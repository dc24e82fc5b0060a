/**
 * The snapshots of a place that has files of changes already: one is taken when it is asked for,
 * and when a file was found unsound. The one that a place begins with is only heard of here.
 */
import type { ArchiveName } from '../../proto/archiveNames.ts'
import type { Position } from '../../proto/position.ts'
import { monotonicMs, wallMs } from '../platform/time.ts'
import { AddedSnapshot, type OnStored } from './addedSnapshot.ts'
import type { Stand } from './batchRecord.ts'
import { type Finding, unsoundFile } from './contentFailures.ts'
import type { PlaceFiles } from './placeFiles.ts'
import type { PlaceParts } from './placeParts.ts'
import type { PlaceProgress } from './placeProgress.ts'
import { isPassed, Renewal, type Renewed } from './renewal.ts'
import { SnapshotWish } from './snapshotWish.ts'

export interface PlaceSnapshotsHost {
  readonly parts: PlaceParts
  readonly files: PlaceFiles
  readonly progress: PlaceProgress
  /** One that was written beside other work is there, or has failed: a round finds out. */
  onEnded(): void
}

export class PlaceSnapshots {
  readonly #host: PlaceSnapshotsHost
  readonly #added: AddedSnapshot
  readonly #renewal = new Renewal()
  readonly #wish = new SnapshotWish()

  constructor(host: PlaceSnapshotsHost) {
    this.#host = host
    this.#added = new AddedSnapshot(host.parts, () => {
      host.progress.writing = undefined
      host.onEnded()
    })
  }

  /** No file of changes goes past this one. */
  get cutTxid(): number {
    return this.#added.cutTxid
  }

  get isTaking(): boolean {
    return this.#wish.now !== undefined || this.#added.isRunning
  }

  /** What is wanted now. */
  get wanted(): Position | undefined {
    return this.#wish.now
  }

  /** The last one that was taken because a file was unsound. */
  get renewed(): Renewed | undefined {
    return this.#renewal.last
  }

  /** After how long one that is wanted and failed is tried again, ms; undefined: not by itself. */
  get retryMs(): number | undefined {
    return this.#wish.now && this.#added.retryMs
  }

  /** `from`: the position that it must have, which the node has; undefined when any will do. */
  want(from?: Position): void {
    this.#wish.want(from)
  }

  /** A file of the place was found unsound: a snapshot follows, if one helps. */
  onUnsound(found: Finding): void {
    this.#renewal.want(found)
  }

  /** Throws why the last one is not there, once. */
  requireSound(): void {
    this.#added.requireSound()
  }

  /** Whether one is taken of a place that is at `at`. Throws why there is none. */
  async takeDue(at: Stand): Promise<boolean> {
    if (!this.#added.mayTake(at)) return false
    const unsound = this.#renewal.due(monotonicMs())
    if (unsound && !this.#host.parts.isOpen() && (await this.#renew(unsound))) return true
    if (!this.#wish.now) return false
    await this.#take()
    return true
  }

  /** One is in the place. `begunFor`: what was wanted when it was begun. */
  onStored(name: string, at: Stand, begunFor: Position | undefined): void {
    const { progress, parts } = this.#host
    this.#wish.onSnapshot(at, begunFor)
    this.#renewal.onSnapshot(wallMs(), monotonicMs())
    progress.onSnapshot(name, at)
    parts.onArchived(1)
  }

  /** Ends when the one that is being written is there, or has failed. Never rejects. */
  async settled(): Promise<void> {
    await this.#added.settled().catch(() => {})
  }

  /** Whether a snapshot is taken, from which a restore does without the unsound file. */
  async #renew(found: Finding): Promise<boolean> {
    const { parts, files } = this.#host
    const file = unsoundFile(found)
    if (file && isPassed(file, await files.all())) return this.#renewal.settle(found)
    parts.logger.error(
      { place: parts.place, code: found.key, error: found.message },
      'a file of the archive is not sound; taking a new snapshot at once',
    )
    this.#renewal.begin(found, monotonicMs())
    await this.#take(file)
    return true
  }

  /** `unsound`: a file that is not taken for what it should be. */
  async #take(unsound?: ArchiveName): Promise<void> {
    const toPlace = await this.#host.files.placing(unsound)
    const begunFor = this.#wish.now
    const onStored: OnStored = (name, at) => this.onStored(name, at, begunFor)
    await this.#added.take(toPlace, onStored, this.#host.progress.onWriting)
  }
}
