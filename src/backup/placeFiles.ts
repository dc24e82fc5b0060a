/** The files of one place, as the archiver writes and looks for them. */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { LogPlace } from './batchLog.ts'
import type { Stand } from './batchRecord.ts'
import { EndCheck } from './endCheck.ts'
import { recordAfter } from './logSearch.ts'
import { type PlaceFile, placingIn } from './placedFile.ts'
import { findPlaceEnd, isReached, type PlaceEnd } from './placeEnd.ts'
import type { PlaceParts } from './placeParts.ts'
import type { PlaceProgress } from './placeProgress.ts'
import type { StoredFile } from './restorePlan.ts'
import { storedFiles } from './storedFiles.ts'
import type { Store } from './stores/store.ts'

export class PlaceFiles {
  readonly #parts: PlaceParts
  readonly #progress: PlaceProgress
  readonly #isGivenUp: () => boolean
  readonly #check: EndCheck

  /** `isGivenUp`: nothing more is to be written. */
  constructor(parts: PlaceParts, progress: PlaceProgress, isGivenUp: () => boolean) {
    this.#parts = parts
    this.#progress = progress
    this.#isGivenUp = isGivenUp
    this.#check = new EndCheck(parts.checkEveryMs)
  }

  /** `unsound`: a file that is not taken for what it should be. */
  async placing(unsound?: ArchiveName): Promise<PlaceFile> {
    const { place, logger, mark } = this.#parts
    return placingIn(await this.#open(), mark().cluster, {
      isGivenUp: this.#isGivenUp,
      onWritten: (bytes) => {
        this.#progress.bytes += bytes
      },
      isUnsound: (name) => unsound !== undefined && formatArchiveName(unsound) === name,
      onReplaced: (file) =>
        logger.error({ place, file }, 'a file of the archive is not sound; writing it again'),
    })
  }

  async all(): Promise<readonly StoredFile[]> {
    return storedFiles(await this.#open())
  }

  /**
   * Whether the archive is left to another node for now: nothing leads on here from the files that
   * are there, and it may be that something does there. A place without files is begun at once.
   */
  async areLeft(): Promise<boolean> {
    const { place, logger, isOn, giveBack } = this.#parts
    if (!isOn() || (await this.all()).length === 0 || !giveBack()) return false
    logger.info({ place }, 'nothing here leads on from the archive; another node may go on with it')
    return true
  }

  /**
   * Whether the file `last`, which ends at `at`, is still there. A loss is told; a file that was
   * merged into another, or to whose end a snapshot leads, is none.
   */
  async isThere(last: string, at: Stand): Promise<boolean> {
    const store = await this.#open()
    if (await this.#check.isThere(store, last, at)) return true
    if (await isReached(store, at)) return false
    const { place, logger, onFailed } = this.#parts
    logger.error(
      { place, file: last },
      'files are gone from the archive; it goes on from what is left',
    )
    onFailed(new WalcastError('ARCHIVE_MISSING', { name: last, store: place }))
    return false
  }

  /** After rounds that failed. */
  onRecovered(): void {
    const { place, logger } = this.#parts
    logger.info({ place }, 'the archive can be written again')
  }

  async isReached(at: Stand): Promise<boolean> {
    return isReached(await this.#open(), at)
  }

  /** Where the place ends from which the log leads on to `present`; `guess`: where in the log. */
  async end(present: Stand, guess: LogPlace | undefined): Promise<PlaceEnd | undefined> {
    const { place, log, logger, mark, onFailed, isOn } = this.#parts
    const end = await findPlaceEnd({
      ...{ store: await this.#open(), cluster: mark().cluster, log, present },
      leadsOn: async (at) => (await recordAfter(log, at, guess)) !== undefined,
      onBroken: (file, error) => {
        const about = { place, file, error: messageOf(error) }
        logger.error(about, 'the archive goes on from an older file: this one is not sound')
        onFailed(error)
      },
    })
    if (end?.leaves && isOn())
      logger.info(
        { place, txid: end.at.txid, abandoned: end.leaves.txid },
        'the archive goes on from inside a file; what that has after it stays',
      )
    return end
  }

  #open(): Promise<Store> {
    return this.#parts.open()
  }
}
