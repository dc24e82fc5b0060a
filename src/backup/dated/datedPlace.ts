/**
 * The place of dated snapshots. One that lies there counts once it is checked, and only then older
 * ones go. A check that could not be made is made again, of the same file.
 */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { asWalcastError, type ErrorCode, WalcastError } from '../../errors.ts'
import type { KeepPolicy } from '../../options/keepPolicy.ts'
import { wallMs } from '../../platform/time.ts'
import type { TakenSnapshot } from '../snapshotTaker.ts'
import type { Store } from '../stores/store.ts'
import type { DatedCheckOrder, DatedContent } from './datedCheck.ts'
import { writeDated } from './datedFile.ts'
import {
  type DatedSnapshot,
  formatDatedName,
  newestOf,
  notKept,
  parseDatedName,
} from './datedNames.ts'

export interface DatedPlaceParts {
  /** In names of files. */
  readonly database: string
  readonly place: string
  open(): Promise<Store>
  /** Undefined: all stay. */
  readonly keep: KeepPolicy | undefined
  /** For what is on its way; the node's own. */
  readonly folder: string
  readonly log: Logger
  /** Gives its state checksum. Throws when it is not what the order says, and STOPPING. */
  check(order: DatedCheckOrder, signal: AbortSignal): Promise<string>
  onTaken(bytes: number): void
}

/** One that was checked. */
export interface SoundSnapshot extends DatedSnapshot {
  /** State checksum, 16 hex digits. */
  readonly checksum: string
}

interface Unchecked {
  readonly snapshot: DatedSnapshot
  /** Undefined of one that an earlier process made. */
  readonly madeOf?: DatedContent
}

/** What a check says of the file. Any other error says that there was no check. */
const WRONG: ReadonlySet<ErrorCode> = new Set([
  'ARCHIVE_MISMATCH',
  'ARCHIVE_BROKEN',
  'ARCHIVE_MISSING',
  'RESTORE_UNSOUND',
])

export class DatedPlace {
  readonly #parts: DatedPlaceParts
  readonly #signal: AbortSignal
  #store: Store | undefined
  #last: SoundSnapshot | undefined
  #unchecked: Unchecked | undefined

  /** `signal`: gives up what is on its way. */
  constructor(parts: DatedPlaceParts, signal: AbortSignal) {
    this.#parts = parts
    this.#signal = signal
  }

  /** The newest that was checked. */
  get last(): SoundSnapshot | undefined {
    return this.#last
  }

  /**
   * Checks what was not checked so far: the newest of an earlier process, which may have been
   * killed before its check, or one whose check could not be made. False when there is none.
   */
  async resume(): Promise<boolean> {
    if (!this.#store) {
      const store = await this.#parts.open()
      const snapshot = newestOf(await this.#found(store), wallMs())
      this.#store = store
      if (snapshot) this.#unchecked = { snapshot }
    }
    if (!this.#unchecked) return false
    await this.#check(this.#store, this.#unchecked)
    return true
  }

  /** Stores it unchecked. */
  async put(taken: TakenSnapshot): Promise<void> {
    const { database } = this.#parts
    const store = this.#store ?? (await this.#parts.open())
    this.#store = store
    const { at: position, pages, pageSize } = taken
    const timeMs = Math.floor(wallMs() / 1000) * 1000
    const name = formatDatedName({ database, timeMs, position })
    let bytes = 0
    await store.create(name, (append) =>
      writeDated(taken, (chunk) => {
        if (this.#signal.aborted) throw new WalcastError('STOPPING')
        bytes += chunk.length
        return append(chunk)
      }),
    )
    const madeOf = { pages, pageSize, checksum: position.checksum }
    this.#unchecked = { snapshot: { name, bytes, database, timeMs, position }, madeOf }
  }

  async #check(store: Store, { snapshot, madeOf }: Unchecked): Promise<void> {
    const { place, folder, check, onTaken, log } = this.#parts
    const { name, bytes, position } = snapshot
    const order = { place, name, folder: join(folder, 'check'), txid: position.txid }
    let checksum: string
    try {
      checksum = await check(madeOf ? { ...order, madeOf } : order, this.#signal)
    } catch (error) {
      if (WRONG.has(asWalcastError(error).key)) {
        await store.remove(name)
        this.#unchecked = undefined
      }
      throw error
    }
    this.#unchecked = undefined
    this.#last = { ...snapshot, checksum }
    if (madeOf) {
      onTaken(bytes)
      log.info({ place, name, bytes }, 'made a dated snapshot')
    }
    await this.#prune(store, name)
  }

  async #prune(store: Store, made: string): Promise<void> {
    const { keep } = this.#parts
    if (!keep) return
    for (const { name } of notKept(await this.#found(store), keep, wallMs(), made))
      await store.remove(name)
  }

  async #found(store: Store): Promise<DatedSnapshot[]> {
    const objects = await store.list(this.#parts.database)
    return objects.flatMap((object) => {
      const parsed = parseDatedName(object.name)
      return parsed ? [{ ...object, ...parsed }] : []
    })
  }
}
