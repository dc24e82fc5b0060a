/**
 * Keeps an archive small and quick to restore, given its store alone: merges files into higher
 * levels, makes snapshots of older ones, thins what is old, and removes what nothing needs.
 *
 * Each round is bounded, and each step leaves an archive in which every promised position
 * restores: what replaces files is written whole, durable and read back before they go. Two
 * processes may do this to one archive at once: a file is made once, and removing what is gone is
 * nothing.
 */
import { type ArchiveName, formatArchiveName } from '../../proto/archiveNames.ts'
import { asWalcastError, keyOf as errorKey, type WalcastError } from '../errors.ts'
import type { KeepPolicy } from '../options/keepPolicy.ts'
import type { Clock } from '../platform/clock.ts'
import { ArchiveFiles, type Sealing } from './archiveFiles.ts'
import { type DueSnapshot, dueSnapshot, type SnapshotBounds } from './compaction/dueSnapshot.ts'
import { foldPieces } from './compaction/foldPieces.ts'
import { type DueMerge, dueMerges } from './compaction/levels.ts'
import type { Stamp } from './compaction/madeFile.ts'
import { mergeChanges } from './compaction/mergeChanges.ts'
import { type CompactionReport, Round, reportOf } from './compaction/roundReport.ts'
import { isLasting } from './contentFailures.ts'
import { type ArchiveLook, type DatedPiece, DatedPieces, keyOf } from './datedPieces.ts'
import type { PlannedPiece, StoredFile } from './restorePlan.ts'
import { doubtedPieces } from './retention/coveredPieces.ts'
import { namedPoints } from './retention/namedPoints.ts'
import { retainNoted } from './retention/notedRetention.ts'
import { DAY_MS } from './retention/periods.ts'
import { removeFiles } from './retention/removeFiles.ts'
import type { Retention } from './retention/retain.ts'
import { ListedStore } from './stores/listedStore.ts'
import type { Store } from './stores/store.ts'
import { UnsoundPieces } from './unsoundPieces.ts'

/** Of one round. */
const MAX_LOOKED = 2000
const MAX_MERGES = 64
const MAX_THINNED = 8
const MAX_COMPARED = 4
const MAX_FAILED = 10_000

export interface CompactorOptions {
  /** Undefined: nothing is removed for its age, number or size. */
  readonly keep: KeepPolicy | undefined
  readonly snapshots: SnapshotBounds
  /** Id of the node that makes files, '' for a command; and the program. */
  readonly node: string
  readonly writer: string
  /** Undefined: files are made without encryption, and encrypted ones are not read. */
  readonly sealing?: Sealing
  /** Tells the store's clock, ms since 1970, when it has one. */
  readonly storeMs?: () => Promise<number | undefined>
}

export class ArchiveCompactor {
  readonly #store: ListedStore
  readonly #files: ArchiveFiles
  readonly #clock: Clock
  readonly #options: CompactorOptions
  readonly #pieces: DatedPieces
  /** Keys of files that this process has compared with what they are made of. */
  readonly #verified = new Set<string>()
  /** Names of files that could not be made: at most `MAX_FAILED`. */
  readonly #failed = new Set<string>()
  readonly #unsound: UnsoundPieces

  constructor(store: Store, clock: Clock, options: CompactorOptions) {
    this.#store = new ListedStore(store)
    this.#files = new ArchiveFiles(this.#store, options.sealing)
    this.#clock = clock
    this.#options = options
    this.#pieces = new DatedPieces(this.#store, this.#files)
    this.#unsound = new UnsoundPieces(this.#store)
  }

  /**
   * One bounded round. When `signal` is aborted it ends after the step that runs. Throws what the
   * store throws when it cannot be listed. The store is listed at the beginning, and once more
   * before files are removed: a list from before long work may be wrong by then.
   */
  async run(signal: AbortSignal): Promise<CompactionReport> {
    const round = new Round(signal)
    await this.#lookAnew(false)
    const before = await this.#look(round)
    await this.#forgetNotes(before, round)
    await this.#compareDoubted(before, round)
    for (const due of await this.#dueMerges(await this.#look(round))) await this.#merge(due, round)
    await this.#makeSnapshot(await this.#look(round), round)
    const first = await this.#retention(await this.#look(round))
    for (const { pieces, name } of first.thin.slice(0, MAX_THINNED))
      if (await this.#fold(pieces, name, round)) round.thinned.push(formatArchiveName(name))
    let look = await this.#look(round)
    let last = await this.#retention(look)
    if (last.remove.length + look.partial.length > 0) {
      await this.#lookAnew(true)
      look = await this.#look(round)
      last = await this.#retention(look)
    }
    const removed = await this.#remove(look, last, round)
    return reportOf(round, last, removed, this.#unsound.unpassed(look.pieces))
  }

  /** Notes come first: the file of a note that is not listed after it is gone. */
  async #lookAnew(isRemoving: boolean): Promise<void> {
    this.#store.forget()
    await this.#unsound.look(this.#clock.nowMs(), isRemoving)
  }

  /** A note stays that cannot be removed: it does no harm. */
  async #forgetNotes({ files }: ArchiveLook, { problems }: Round): Promise<void> {
    const forgotten = this.#unsound.forgetGone(files.map(({ name }) => name))
    await forgotten.catch((error) => problems.push(asWalcastError(error)))
  }

  async #look({ signal, problems, failedLooks }: Round): Promise<ArchiveLook> {
    const look = await this.#pieces.look(signal.aborted ? 0 : MAX_LOOKED, signal, failedLooks)
    problems.push(...look.problems)
    const there = new Set(look.pieces.map(({ key }) => key))
    for (const key of this.#verified) if (!there.has(key)) this.#verified.delete(key)
    return { ...look, pieces: this.#unsound.mark(look.pieces) }
  }

  /** What a crash left between making a file and removing what it is made of. */
  async #compareDoubted({ pieces }: ArchiveLook, round: Round): Promise<void> {
    const doubted = [...doubtedPieces(pieces, this.#verified)].slice(0, MAX_COMPARED)
    for (const [{ name, files, key }, way] of doubted)
      if (files.length > 1 || name.level > 3)
        await this.#attempt(key, way, round, async (signal) => {
          const names = files.map((file) => file.name)
          await foldPieces(this.#files, way, name, { stamp: this.#stamp(), signal }, names)
          return true
        })
      else await this.#merge({ pieces: way, name }, round)
  }

  /** Of what stays as it is: what goes or is thinned anyway is not merged before. */
  async #dueMerges(look: ArchiveLook): Promise<readonly DueMerge[]> {
    const { kept, thin } = await this.#retention(look)
    const doubted = this.#doubted(look)
    const thinned = new Set<DatedPiece>(thin.flatMap(({ pieces }) => pieces))
    const live = kept.filter((piece) => !doubted.has(piece) && !thinned.has(piece))
    return dueMerges(live, this.#endsAtHours()).slice(0, MAX_MERGES)
  }

  /** The keys of encrypted files are not there for a day. */
  #endsAtHours(): boolean {
    const { keep, sealing } = this.#options
    return sealing !== undefined || (keep?.windows.some(({ grain }) => grain === 'hourly') ?? false)
  }

  #doubted({ pieces }: ArchiveLook): ReadonlySet<DatedPiece> {
    return new Set(doubtedPieces(pieces, this.#verified).keys())
  }

  async #merge({ pieces, name }: DueMerge, round: Round): Promise<void> {
    const key = keyOf({ name })
    const isMade = await this.#attempt(key, pieces, round, async (signal) => {
      await mergeChanges(this.#files, pieces, name, this.#stamp(), signal)
      return true
    })
    if (isMade) round.merged.push(key)
  }

  async #makeSnapshot(look: ArchiveLook, round: Round): Promise<void> {
    const doubted = this.#doubted(look)
    const live = look.pieces.filter((piece) => !doubted.has(piece))
    const due: DueSnapshot | undefined = dueSnapshot(live, this.#options.snapshots)
    if (!due) return
    round.isSnapshotDue = due.pieces.some(({ isEncrypted }) => isEncrypted)
    if (!round.isSnapshotDue && (await this.#fold(due.pieces, due.name, round)))
      round.snapshot = keyOf(due)
  }

  async #retention({ pieces }: ArchiveLook): Promise<Retention> {
    const { keep, storeMs, snapshots } = this.#options
    const input = {
      pieces,
      policy: keep,
      clock: { nowMs: this.#clock.nowMs(), storeMs: await storeMs?.() },
      held: await namedPoints(this.#store),
      verified: this.#verified,
      changeFactor: snapshots.changeFactor,
    }
    return retainNoted(input, this.#unsound.onlyNoted)
  }

  async #fold(pieces: readonly PlannedPiece[], name: ArchiveName, round: Round): Promise<boolean> {
    return await this.#attempt(keyOf({ name }), pieces, round, async (signal) => {
      const made = await foldPieces(this.#files, pieces, name, { stamp: this.#stamp(), signal })
      return made !== undefined
    })
  }

  async #remove(look: ArchiveLook, { remove }: Retention, round: Round) {
    const newestMs = look.pieces.findLast(({ dates }) => dates)?.dates?.lastMs
    const left = newestMs === undefined ? [] : await this.#leftParts(look.partial, newestMs)
    const files = [...remove.flatMap((piece) => piece.files), ...left]
    const nowMs = this.#clock.nowMs()
    return await removeFiles(this.#store, files, nowMs, round.signal).catch((error) => {
      round.problems.push(asWalcastError(error))
      return []
    })
  }

  /** Parts that were begun a day before the newest position: nobody writes the rest of them. */
  async #leftParts(partial: readonly StoredFile[], newestMs: number): Promise<StoredFile[]> {
    const left: StoredFile[] = []
    for (const part of partial.slice(0, MAX_COMPARED)) {
      const opened = await this.#files.open(part.name).catch(() => undefined)
      await opened?.close()
      const createdMs = opened?.file.header.createdMs
      if (createdMs !== undefined && createdMs + DAY_MS < newestMs) left.push(part)
    }
    return left
  }

  /**
   * Makes the file `key` of `pieces`, or compares it with them. False when `make` gives that, and
   * when it failed, which is one of the problems.
   */
  async #attempt(
    key: string,
    pieces: readonly PlannedPiece[],
    { signal, problems }: Round,
    make: (signal: AbortSignal) => Promise<boolean>,
  ): Promise<boolean> {
    if (signal.aborted || this.#failed.has(key)) return false
    try {
      const isMade = await make(signal)
      if (isMade) this.#verified.add(key)
      return isMade
    } catch (error) {
      if (signal.aborted) return false
      // This process cannot read what another one encrypted. It stays as it is.
      if (errorKey(error) !== 'ARCHIVE_LOCKED') problems.push(asWalcastError(error))
      await this.#noteUnsound(error, pieces.map(keyOf), problems)
      if (isLasting(error) && this.#failed.size < MAX_FAILED) this.#failed.add(key)
      return false
    }
  }

  async #noteUnsound(error: unknown, keys: readonly string[], problems: WalcastError[]) {
    const about = { foundMs: Math.round(this.#clock.nowMs()), by: this.#options.node }
    try {
      await this.#unsound.find(error, keys, about)
    } catch (failure) {
      // This process knows it. The next round that finds it writes it down.
      problems.push(asWalcastError(failure))
    }
  }

  #stamp(): Stamp {
    const { node, writer } = this.#options
    return { createdMs: Math.round(this.#clock.nowMs()), node, writer }
  }
}
