/**
 * Dated snapshots of a database, on a node that may have no archive: one at each pause, unless
 * nothing was committed since the last one.
 *
 *   waiting -> taken -> stored -> checked -> older ones that are not kept are removed -> waiting
 *                                       \-> removed, as it is not sound
 *
 * Nothing older is removed before the new one was read back and compared. A kill at any step leaves
 * no half file under a name of a snapshot.
 */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { formatPosition } from '../../../proto/position.ts'
import type { SnapshotReport } from '../../api/snapshotStatus.ts'
import { asWalcastError, messageOf, WalcastError } from '../../errors.ts'
import type { KeepPolicy } from '../../options/keepPolicy.ts'
import { type FileOps, makeFolder } from '../../platform/fileOps.ts'
import { removeAside, rmSync } from '../../platform/files.ts'
import { monotonicMs, wallMs } from '../../platform/time.ts'
import type { ArchiveSource, SourceState } from '../archiveSource.ts'
import type { ArchivedBatch } from '../batchChain.ts'
import type { BatchFollower } from '../batchFollower.ts'
import { SnapshotTaker, type TakenSnapshot } from '../snapshotTaker.ts'
import type { Store } from '../stores/store.ts'
import { WakeablePause } from '../wakeablePause.ts'
import type { DatedCheckOrder } from './datedCheck.ts'
import { writeDated } from './datedFile.ts'
import { type DatedSnapshot, formatDatedName, notKept, parseDatedName } from './datedNames.ts'

export interface DatedParts {
  readonly db: string
  /** In names of files. */
  readonly database: string
  readonly place: string
  open(): Promise<Store>
  readonly everyMs: number
  /** Undefined: all stay. */
  readonly keep: KeepPolicy | undefined
  /** For what is on its way; the node's own. */
  readonly folder: string
  readonly ops: FileOps
  readonly log: Logger
  /** Throws when the snapshot is not what the order says, and STOPPING. */
  check(order: DatedCheckOrder, signal: AbortSignal): Promise<void>
  onTaken(bytes: number): void
  /** `isFirst`: the one before was made. */
  onFailed(error: WalcastError, isFirst: boolean): void
}

/** After a failure, and while the database is not ready. */
const AGAIN_MS = 10_000
/** Overdue is what lacks for so many pauses. */
const OVERDUE_PAUSES = 2

export class DatedSnapshots implements BatchFollower {
  readonly #parts: DatedParts
  readonly #pause = new WakeablePause()
  readonly #ending = new AbortController()
  #source: ArchiveSource | undefined
  #taker: SnapshotTaker | undefined
  #store: Store | undefined
  #last: DatedSnapshot | undefined
  /** When the newest snapshot had what the database had. */
  #levelMs = monotonicMs()
  #error: WalcastError | undefined
  #running: Promise<void> | undefined

  /** Removes what a killed node has left in `folder`. */
  constructor(parts: DatedParts) {
    this.#parts = parts
    rmSync(parts.folder, { recursive: true, force: true })
  }

  report(): SnapshotReport {
    const { place, everyMs } = this.#parts
    const sinceMs = Math.round(monotonicMs() - this.#levelMs)
    const last = this.#last
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
    while (!this.#pause.isEnded) await this.#pause.wait(await this.#round())
  }

  /** Never rejects. Gives how long to wait. */
  async #round(): Promise<number> {
    const { everyMs, place, log, onFailed } = this.#parts
    const againMs = Math.min(everyMs, AGAIN_MS)
    try {
      const waitMs = await this.#advance()
      this.#error = undefined
      return waitMs ?? againMs
    } catch (error) {
      const failure = asWalcastError(error)
      if (failure.key === 'STOPPING' || failure.key === 'STARTING') return againMs
      const isFirst = this.#error === undefined
      if (this.#error?.key !== failure.key)
        log.error(
          { place, error: messageOf(failure) },
          'cannot make a dated snapshot; trying again',
        )
      this.#error = failure
      onFailed(failure, isFirst)
      return againMs
    }
  }

  /** Gives when the next one is due, ms from now; undefined while the database is not ready. */
  async #advance(): Promise<number | undefined> {
    const { everyMs, open } = this.#parts
    const source = this.#source
    source?.look()
    const state = source?.state()
    if (!source || !state || state.isOpen) return undefined
    const isFirst = this.#store === undefined
    const store = await this.#opened(open)
    if (isFirst || this.#last === undefined) this.#last = (await this.#found(store))[0]
    const last = this.#last
    if (last && isAt(last, state)) return this.#onLevel()
    const ageMs = last ? wallMs() - last.timeMs : everyMs
    // Those of a process that was restarted count as well.
    if (isFirst && ageMs >= 0 && ageMs < everyMs) return everyMs - ageMs
    await this.#take(source, state, store)
    return this.#onLevel()
  }

  async #opened(open: DatedParts['open']): Promise<Store> {
    const store = this.#store ?? (await open())
    this.#store = store
    return store
  }

  #onLevel(): number {
    this.#levelMs = monotonicMs()
    return this.#parts.everyMs
  }

  /** The newest first. */
  async #found(store: Store): Promise<DatedSnapshot[]> {
    const objects = await store.list(this.#parts.database)
    return objects
      .flatMap((object) => {
        const parsed = parseDatedName(object.name)
        return parsed ? [{ ...object, ...parsed }] : []
      })
      .sort((a, b) => b.timeMs - a.timeMs)
  }

  async #take(source: ArchiveSource, state: SourceState, store: Store): Promise<void> {
    const { db, folder, ops } = this.#parts
    const path = join(folder, 'taken')
    makeFolder(folder)
    const taker = new SnapshotTaker(source, db, path, ops)
    this.#taker = taker
    try {
      const taken = await taker.run(state)
      await this.#keep(taken, store)
    } finally {
      this.#taker = undefined
      await removeAside(path).catch(() => {})
    }
  }

  async #keep(taken: TakenSnapshot, store: Store): Promise<void> {
    const { database, place, folder, check, onTaken, log } = this.#parts
    const { at, pages, pageSize } = taken
    const timeMs = Math.floor(wallMs() / 1000) * 1000
    const name = formatDatedName({ database, timeMs, position: at })
    let bytes = 0
    await store.create(name, (append) =>
      writeDated(taken, (chunk) => {
        if (this.#pause.isEnded) throw new WalcastError('STOPPING')
        bytes += chunk.length
        return append(chunk)
      }),
    )
    const { txid, checksum } = at
    const order = { place, name, folder: join(folder, 'check'), pageSize, pages, txid, checksum }
    try {
      await check(order, this.#ending.signal)
    } catch (error) {
      if (asWalcastError(error).key !== 'STOPPING') await store.remove(name)
      throw error
    }
    this.#last = { name, bytes, database, timeMs, position: at }
    onTaken(bytes)
    log.info({ place, name, bytes }, 'made a dated snapshot')
    await this.#prune(store)
  }

  async #prune(store: Store): Promise<void> {
    const { keep } = this.#parts
    if (!keep) return
    for (const { name } of notKept(await this.#found(store), keep, wallMs()))
      await store.remove(name)
  }
}

function isAt({ position }: DatedSnapshot, { epoch, txid }: SourceState): boolean {
  return position.epoch === epoch && position.txid === txid
}
