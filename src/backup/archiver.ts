/**
 * Archives a database from the node that has it, whatever its role: every batch goes into the log,
 * and from there to each place. Where the log does not lead on from what a place has, the place
 * goes on with a snapshot. What it has stays.
 */
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { ArchivistAnswer } from '../api/archivist.ts'
import type { BackupReport } from '../api/backupStatus.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { KeepPolicy } from '../options/keepPolicy.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { rmSync } from '../platform/files.ts'
import {
  cancelTimer,
  monotonicMs,
  setRepeatingTimer,
  type Timer,
  wallMs,
} from '../platform/time.ts'
import type { ArchiveSource } from './archiveSource.ts'
import { Archivist, type BackupOn } from './archivist.ts'
import { type ArchivedBatch, BatchChain } from './batchChain.ts'
import { BatchLog, type BatchLogLimits } from './batchLog.ts'
import type { Stand } from './batchRecord.ts'
import type { FileMark } from './fileHeader.ts'
import { PlaceArchive } from './placeArchive.ts'
import { reportOf } from './placeReport.ts'
import { PlaceUpkeep } from './placeUpkeep.ts'
import { SnapshotTaker, type TakenSnapshot } from './snapshotTaker.ts'
import type { Store } from './stores/store.ts'
import { UpkeepRounds } from './upkeepRounds.ts'

export interface ArchiverOptions {
  readonly db: string
  /** Of the log and of snapshots on their way; the node's own. */
  readonly folder: string
  readonly limits: BatchLogLimits
  /** Pause between two files of a place. */
  readonly everyMs: number
  /** Undefined: everything stays. */
  readonly keep: KeepPolicy | undefined
  /** Pause between two rounds that keep the places small. */
  readonly keepEveryMs: number
  readonly log: Logger
  readonly ops: FileOps
  /** Folders or URLs. */
  readonly places: readonly string[]
  open(place: string): Promise<Store>
  mark(): FileMark
  readonly on: BackupOn
  /** Asks the leader at this address whether this node archives. */
  ask(leader: string): Promise<ArchivistAnswer>
  readonly observer: ArchiverObserver
}

export interface ArchiverObserver {
  onArchived(place: string, files: number): void
  onFailed(place: string, code: string): void
  /** A round that keeps the place small has ended. */
  onUpkeep(place: string): void
  /** Files of the log that a place may still have needed are gone: the log was full. */
  onDropped(bytes: number): void
  /** Batches that no place has are lost to the archive: it goes on with a snapshot. */
  onBroken(): void
}

interface KeptPlace {
  readonly archive: PlaceArchive
  readonly upkeep: PlaceUpkeep
}

export class Archiver {
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
      ask: () => this.#ask(),
      nowMs: () => monotonicMs(),
    })
    this.#places = options.places.map((place) => {
      const archive = this.#newPlace(place)
      return { archive, upkeep: this.#newUpkeep(place, archive) }
    })
    const upkeeps = this.#places.map(({ upkeep }) => upkeep)
    this.#rounds = new UpkeepRounds(upkeeps, options.keepEveryMs)
  }

  /** Begins where the log ends. Nothing is archived before `attach`. */
  static async open(options: ArchiverOptions): Promise<Archiver> {
    const { folder, limits, ops, observer } = options
    const log = BatchLog.open(join(folder, 'log'), limits, ops, {
      onDropped: (bytes) => observer.onDropped(bytes),
      onFailed: (error) =>
        archiver.#chain.onLogFailed('cannot write the log of batches', {
          error: messageOf(error),
        }),
    })
    const archiver = new Archiver(options, log, await log.end())
    return archiver
  }

  report(nowMs: number): BackupReport {
    return {
      places: this.#places.map(({ archive, upkeep }) => reportOf(archive.status, upkeep, nowMs)),
      logBytes: this.#log.bytes,
      queueBytes: this.#log.pendingBytes,
    }
  }

  /** From now on this engine's batches come. */
  attach(source: ArchiveSource): void {
    this.#chain.attach(source)
    this.archivist.start()
    for (const { archive } of this.#places) archive.start()
    this.#rounds.start()
    this.#timer ??= setRepeatingTimer(() => this.#tick(), this.#options.everyMs).unref()
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
    const archived = this.#places.map(({ archive }) => archive.stop())
    await Promise.all([...archived, this.#rounds.stop()])
    await this.#taking
    await this.#log.close()
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
    const cursors = this.#places.flatMap(({ archive }) => archive.cursor ?? [])
    if (cursors.length < this.#places.length) return
    const [least] = cursors.sort((a, b) => a.segment - b.segment)
    this.#log.trim(least)
  }

  async #ask(): Promise<ArchivistAnswer> {
    const leader = this.#chain.source?.leaderAddress()
    return leader === undefined ? { archives: false } : this.#options.ask(leader)
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
      isOn: () => this.archivist.isOn(),
      end: () => this.#chain.end,
      withSnapshot: (use) => this.#withSnapshot(use),
      onArchived: (files) => observer.onArchived(place, files),
      onFailed: ({ key }) => observer.onFailed(place, key),
    })
  }

  #newUpkeep(place: string, archive: PlaceArchive): PlaceUpkeep {
    const { log: logger, keep, mark, observer, open } = this.#options
    return new PlaceUpkeep({
      ...{ place, logger, keep, mark },
      open: () => open(place),
      status: () => archive.status,
      leaderMs: () => this.#leaderMs(),
      onRound: () => observer.onUpkeep(place),
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
