/**
 * Up to which commit the copy survives a loss of power.
 *
 * A commit of the copy lies in its WAL, written and not synced. Once a sync that began after it has
 * ended, it stays: a checkpoint syncs the WAL before it backfills, and the database file before the
 * WAL may be started over (walCheckpoint in SQLite's wal.c; our connections run with
 * synchronous=NORMAL, under which both are done). The database file is synced along, because a
 * checkpointer of somebody else's may run with synchronous=OFF.
 */
import type { Position } from '../../../proto/position.ts'
import { keyOf } from '../../errors.ts'
import type { DatabaseFiles } from '../../sqlite/databaseFiles.ts'

export interface DurabilityHost {
  /** What readers see: its frames are written when it changes. */
  position(): Position
  /**
   * Makes everything written until the call durable. Must not hold up the thread. Throws STOPPING
   * when it was not tried: that says nothing of the files.
   */
  sync(): Promise<void>
}

/** Set for good when a sync of these files has failed. */
export type SyncedFiles = Pick<DatabaseFiles, 'syncFailure'>

export class Durability {
  readonly #host: DurabilityHost
  #durable: Position = { epoch: 0, txid: 0 }
  #running: Promise<void> | undefined
  /** Begins when the one under way has ended, and covers all who came meanwhile. */
  #next: Promise<void> | undefined
  readonly #files: SyncedFiles

  /** `files`: what is synced; a failure is kept with them, whatever role they serve. */
  constructor(host: DurabilityHost, files: SyncedFiles = {}) {
    this.#host = host
    this.#files = files
  }

  /** The txid up to which the copy is durable in `epoch`; 0 when nothing is known. */
  txid(epoch: number): number {
    return this.#durable.epoch === epoch ? this.#durable.txid : 0
  }

  /**
   * Resolves when what is visible now is durable. However many ask, one sync is under way and one
   * waits at most. After a failure every call throws it: the kernel may have dropped the pages, and
   * a later sync would report success for what is lost.
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
   * A sync of the same descriptors failed elsewhere. The kernel tells of that once: the next would
   * succeed.
   */
  onSyncFailed(error: unknown): void {
    this.#files.syncFailure ??= error
  }

  /**
   * Resolves when no sync is under way: the descriptors may be closed then, if nobody asks any
   * more.
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
    // Of two at once only one is told of a failure.
    this.#requireSound()
    this.#durable = position
  }

  #requireSound(): void {
    if (this.#files.syncFailure !== undefined) throw this.#files.syncFailure
  }
}
