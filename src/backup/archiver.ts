/**
 * Archives a database from the node that has it, whatever its role: every batch goes into the log,
 * and from there to each place. Where the log does not lead on from what a place has, the place
 * goes on with a snapshot. What it has stays.
 */
import { join } from 'node:path'
import type { Position } from '../../proto/position.ts'
import type { ArchivistAnswer } from '../api/archivist.ts'
import type { PlaceNow } from '../api/backupNow.ts'
import type { BackupReport } from '../api/backupStatus.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { makeFolder } from '../platform/fileOps.ts'
import { removeAside } from '../platform/files.ts'
import {
  cancelTimer,
  delay,
  monotonicMs,
  setRepeatingTimer,
  type Timer,
  wallMs,
} from '../platform/time.ts'
import type { ArchiverOptions } from './archiverOptions.ts'
import type { ArchiveSource } from './archiveSource.ts'
import { Archivist } from './archivist.ts'
import { type ArchivedBatch, BatchChain } from './batchChain.ts'
import type { BatchFollower } from './batchFollower.ts'
import { BatchLog } from './batchLog.ts'
import type { Stand } from './batchRecord.ts'
import type { Finding } from './contentFailures.ts'
import { PlaceArchive } from './placeArchive.ts'
import { reportOf } from './placeReport.ts'
import type { PlaceStatus } from './placeStatus.ts'
import { type PlacesNowOrder, placesNow } from './placesNow.ts'
import { PlaceUpkeep } from './placeUpkeep.ts'
import { SnapshotTaker, type TakenSnapshot } from './snapshotTaker.ts'
import { openedOnce } from './stores/openedOnce.ts'
import type { Store } from './stores/store.ts'
import { UpkeepRounds } from './upkeepRounds.ts'

/** So long a stop waits for places to take what they lack: less than --drain. */
const STOP_MS = 5000

interface KeptPlace {
  readonly open: () => Promise<Store>
  readonly archive: PlaceArchive
  readonly upkeep: PlaceUpkeep
}

export class Archiver implements BatchFollower {
  readonly #options: ArchiverOptions
  readonly #log: BatchLog
  readonly #chain: BatchChain
  readonly #places: readonly KeptPlace[]
  readonly #rounds: UpkeepRounds
  readonly archivist: Archivist
  #taker: SnapshotTaker | undefined
  #taking: Promise<void> = Promise.resolve()
  #timer: Timer | undefined

  private constructor(options: ArchiverOptions, log: BatchLog, end: Stand | undefined) {
    this.#options = options
    this.#log = log
    this.#chain = new BatchChain(log, end, {
      onAppended: (timeMs) => this.#onAppended(timeMs),
      onBroken: (why, about) => this.#onBroken(why, about),
    })
    this.archivist = new Archivist({
      on: options.on,
      role: () => this.#chain.source?.role,
      hasReplicas: () => this.#chain.source?.hasReplicas() ?? false,
      ask: (isDeclining) => this.#ask(isDeclining),
      onArchived: (at) => this.#onArchived(at),
      nowMs: () => monotonicMs(),
    })
    this.#places = options.places.map((place) => {
      const open = openedOnce(() => options.open(place))
      const kept = { open, archive: this.#newPlace(place, open) }
      return { ...kept, upkeep: this.#newUpkeep(kept) }
    })
    const upkeeps = this.#places.map(({ upkeep }) => upkeep)
    this.#rounds = new UpkeepRounds(upkeeps, options.keepEveryMs)
  }

  /** Begins where the log ends. Nothing is archived before `attach`. */
  static async open(options: ArchiverOptions): Promise<Archiver> {
    const { folder, limits, ops, observer } = options
    const log = BatchLog.open(join(folder, 'log'), limits, ops, {
      onDropped: (bytes) => observer.onDropped(bytes),
      onFailed: (error, isAgain) => {
        const about = { error: messageOf(error) }
        archiver.#chain.onLogFailed('cannot write the log of batches', about, isAgain)
      },
    })
    const archiver = new Archiver(options, log, await log.end())
    return archiver
  }

  get statuses(): readonly PlaceStatus[] {
    return this.#places.map(({ archive }) => archive.status)
  }

  report(): BackupReport {
    const about = [this.#leaderMs(), this.#options.alertMs] as const
    const archives = this.archivist.report()
    return {
      places: this.#places.map(({ archive, upkeep }) => ({
        ...reportOf(archive.status, upkeep, ...about),
        ...archives,
      })),
      logBytes: this.#log.bytes,
      queueBytes: this.#log.pendingBytes,
    }
  }

  /** Every place has the position then. Throws BACKUP_BEHIND. */
  now(order: PlacesNowOrder): Promise<readonly PlaceNow[]> {
    this.#chain.source?.look()
    this.#chain.requireLevel()
    const places = this.#places.map(({ archive }) => archive)
    return placesNow(places, order)
  }

  /** From now on this engine's batches come. */
  attach(source: ArchiveSource): void {
    this.#chain.attach(source)
    this.archivist.start()
    for (const { archive } of this.#places) archive.start()
    this.#rounds.start()
    this.#timer ??= setRepeatingTimer(() => this.#tick(), this.#options.everyMs).unref()
  }

  /** The store of the place `number`, from 1; undefined when --backup has no such place. */
  async storeOf(number: number): Promise<Store | undefined> {
    return number < 1 ? undefined : this.#places.at(number - 1)?.open()
  }

  /** A drill of a place has failed. */
  onUnsound(place: string, found: Finding): void {
    const kept = this.#places.find(({ archive }) => archive.status.place === place)
    kept?.archive.onUnsound(found)
    kept?.upkeep.note(found)
  }

  /** The engine ends. What was captured is in the log. */
  detach(): void {
    this.#taker?.stop()
    this.#chain.detach()
  }

  /** Each message of a batch, in order; it must not change afterwards. */
  onBatch(batch: ArchivedBatch): void {
    this.#taker?.onCaptured(batch.pageNumbers)
    this.#chain.onBatch(batch)
  }

  /** A batch that was begun is not gone on with. */
  onRestart(): void {
    this.#taker?.stop()
    this.#chain.onRestart()
  }

  /** Archives what there is, once, and ends. */
  async stop(): Promise<void> {
    this.detach()
    this.archivist.stop()
    cancelTimer(this.#timer)
    await this.#endPlaces()
    await this.#log.close()
  }

  /** What a place lacks after STOP_MS stays in the log. */
  async #endPlaces(): Promise<void> {
    const timeIsUp = new AbortController()
    const places = this.#places.map(({ archive }) => archive.stop())
    const notes = this.#places.map(({ upkeep }) => upkeep.settled())
    const ended = Promise.all([...places, ...notes, this.#rounds.stop(), this.#taking]).then(() =>
      timeIsUp.abort(),
    )
    const over = delay(STOP_MS, { signal: timeIsUp.signal }).then(() => {
      for (const { archive } of this.#places) archive.giveUp()
      this.#options.log.warn('the archive lacks the last commits; the next start goes on with them')
    })
    await Promise.race([ended, over.catch(() => {})])
  }

  #onAppended(timeMs: number): void {
    for (const { archive } of this.#places) archive.onAppended(timeMs)
  }

  #onBroken(why: string, about: object): void {
    this.#onAppended(this.#leaderMs())
    this.#options.log.warn(about, `the archive goes on with a snapshot: ${why}`)
    this.#options.observer.onBroken()
  }

  /** What every place has need not be in the log. */
  #tick(): void {
    this.#chain.requireLevel()
    const at = this.#archived()
    if (at) this.#onArchived(at)
    const cursors = this.#places.flatMap(({ archive }) => archive.cursor ?? [])
    if (cursors.length < this.#places.length) return
    const [least] = cursors.sort((a, b) => a.segment - b.segment)
    this.#log.trim(least)
  }

  async #ask(isDeclining: boolean): Promise<ArchivistAnswer> {
    const leader = this.#chain.source?.leaderAddress()
    if (leader === undefined) return { archives: false, hasOthers: false }
    return this.#options.ask(leader, this.#archived(), isDeclining)
  }

  /** What every place has; undefined unless that is of the present epoch. */
  #archived(): Position | undefined {
    const epoch = this.#chain.end?.epoch
    const ends = this.#places.map(({ archive }) => archive.status.at)
    if (!ends.every((at) => at !== undefined && at.epoch === epoch)) return undefined
    const txid = Math.min(...ends.map((at) => at?.txid ?? 0))
    return epoch === undefined ? undefined : { epoch, txid }
  }

  #onPlace(): void {
    const at = this.#archived()
    if (at) this.#onArchived(at)
    this.archivist.tell()
  }

  #onArchived(at: Position): void {
    const { source, end } = this.#chain
    if (source?.role === 'leader' && end) this.#options.archived.hear(at, end)
  }

  #newPlace(place: string, open: () => Promise<Store>): PlaceArchive {
    const { log: logger, everyMs, alertMs, mark, observer } = this.#options
    return new PlaceArchive({
      ...{ place, open, logger, everyMs, mark },
      log: this.#log,
      isOn: () => this.archivist.isOn(),
      giveBack: () => this.archivist.giveBack(),
      mayStandInMs: () => this.archivist.mayStandInMs(alertMs),
      end: () => this.#chain.end,
      isOpen: () => this.#chain.isOpen,
      withSnapshot: (use) => this.#withSnapshot(use),
      onArchived: (files) => {
        observer.onArchived(place, files)
        this.#onPlace()
      },
      onFailed: ({ key }) => observer.onFailed(place, key),
    })
  }

  #newUpkeep({ open, archive }: Omit<KeptPlace, 'upkeep'>): PlaceUpkeep {
    const { log: logger, keep, mark, observer } = this.#options
    const { place } = archive.status
    return new PlaceUpkeep({
      ...{ place, open, logger, keep, mark },
      status: () => archive.status,
      leaderMs: () => this.#leaderMs(),
      onSnapshotDue: () => archive.wantSnapshot(),
      onRound: () => observer.onUpkeep(place),
      onUnsound: (error) => archive.onUnsound(error),
      onFailed: ({ key }) => observer.onFailed(place, key),
    })
  }

  #leaderMs(): number {
    return this.#chain.source?.leaderMs() ?? wallMs()
  }

  /** One after another: each needs room for the whole database. */
  #withSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void> {
    const taking = this.#taking.then(() => this.#takeSnapshot(use))
    this.#taking = taking.catch(() => {})
    return taking
  }

  async #takeSnapshot(use: (taken: TakenSnapshot) => Promise<void>): Promise<void> {
    const { db, folder, ops } = this.#options
    const { source } = this.#chain
    const state = source?.state()
    if (!source || !state) throw new WalcastError('STOPPING')
    const path = join(folder, 'snapshot')
    makeFolder(folder)
    const noticedMs = (at: Stand) => this.#chain.noticedMs(at)
    const taker = new SnapshotTaker(source, db, path, ops, noticedMs)
    this.#taker = taker
    try {
      await use(await taker.run(state))
    } finally {
      this.#taker = undefined
      // It may be gone, and large.
      await removeAside(path).catch(() => {})
    }
  }
}
