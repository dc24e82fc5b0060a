/**
 * Up to which commit the copy survives a loss of power.
 *
 * A new commit lies in the copy's WAL, written and not synced. A sync that begins after it makes it
 * durable, and it stays so. A checkpoint syncs the WAL before it backfills, and the database file
 * before the WAL may start over (walCheckpoint in SQLite's wal.c; our connections run with
 * synchronous=NORMAL, which does both). The sync includes the database file, because a foreign
 * checkpointer may run with synchronous=OFF.
 */
import type { Position } from '../../../proto/position.ts'
import { keyOf } from '../../errors.ts'
import type { DatabaseFiles } from '../../sqlite/databaseFiles.ts'

export interface DurabilityHost {
  /** The position that readers see. Its frames are written before it changes. */
  position(): Position
  /**
   * Makes everything written before the call durable, without blocking the thread. Throws STOPPING
   * when it did not try, which says nothing about the files.
   */
  sync(): Promise<void>
}

/** Files whose `syncFailure` stays set once a sync has failed. */
export type SyncedFiles = Pick<DatabaseFiles, 'syncFailure'>

export class Durability {
  readonly #host: DurabilityHost
  #durable: Position = { epoch: 0, txid: 0 }
  #running: Promise<void> | undefined
  /** Begins when the running sync ends, and covers all callers that came meanwhile. */
  #next: Promise<void> | undefined
  readonly #files: SyncedFiles

  /** `files` keep a failure, so that it counts in the next role as well. */
  constructor(host: DurabilityHost, files: SyncedFiles = {}) {
    this.#host = host
    this.#files = files
  }

  /** The txid up to which the copy is durable in `epoch`; 0 when unknown. */
  txid(epoch: number): number {
    return this.#durable.epoch === epoch ? this.#durable.txid : 0
  }

  /**
   * Resolves when what is visible now is durable. At most one sync runs and one waits, however many
   * callers there are. After a failure every call throws that failure: the kernel may have dropped
   * the pages, and a later sync would report success for what is lost.
   */
  async reach(): Promise<void> {
    const { epoch, txid } = this.#host.position()
    if (this.txid(epoch) >= txid) return
    if (!this.#running) return this.#begin()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.reach()
      })
    return this.#next
  }

  /**
   * A sync of the same descriptors failed elsewhere. The kernel reports that only once; the next
   * sync would succeed.
   */
  onSyncFailed(error: unknown): void {
    this.#files.syncFailure ??= error
  }

  /**
   * Resolves when no sync runs. The descriptors may be closed then, if no caller comes any more.
   */
  async settled(): Promise<void> {
    while (this.#running ?? this.#next) await (this.#next ?? this.#running)?.catch(() => {})
  }

  #begin(): Promise<void> {
    const running = this.#sync().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #sync(): Promise<void> {
    this.#requireSound()
    const position = this.#host.position()
    try {
      await this.#host.sync()
    } catch (error) {
      if (keyOf(error) !== 'STOPPING') this.onSyncFailed(error)
      throw error
    }
    // Of two syncs at once only one hears of a failure.
    this.#requireSound()
    this.#durable = position
  }

  #requireSound(): void {
    if (this.#files.syncFailure !== undefined) throw this.#files.syncFailure
  }
}
