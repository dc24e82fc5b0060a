/**
 * What an open copy holds: its pages as this process knows them, and the writer that appends to its
 * WAL. Valid while the write lock is held; after a gap in the lock `checkGap` makes it valid again.
 */
import { WalcastError } from '../../errors.ts'
import type { DatabaseFiles } from '../../sqlite/databaseFiles.ts'
import type { CheckedPages } from '../../sqlite/pageCheck.ts'
import type { WalIndexReader } from '../../sqlite/walIndexReader.ts'
import { WalWriter } from '../../sqlite/walWriter.ts'
import { Applier } from './applier.ts'
import type { CopyLock } from './copyLock.ts'
import type { CopyOptions } from './copyOptions.ts'
import { type CopyState, type Settled, scanCopy } from './copyState.ts'

type ContentOptions = Pick<CopyOptions, 'path' | 'ops' | 'positions'>

/** Something else wrote to the copy, and the copy was read again. */
export interface StrayWrite {
  readonly error: WalcastError
  readonly isSameContent: boolean
}

export class CopyContent {
  readonly #options: ContentOptions
  readonly #lock: CopyLock
  readonly files: DatabaseFiles
  readonly walIndex: WalIndexReader
  /** `reread` replaces both. */
  writer: WalWriter
  applier: Applier

  constructor(
    options: ContentOptions,
    files: DatabaseFiles,
    lock: CopyLock,
    state: CopyState,
    position: Settled['position'],
  ) {
    this.#options = options
    this.#lock = lock
    this.files = files
    this.walIndex = state.walIndex
    this.writer = this.#newWriter(state)
    this.applier = this.#newApplier(state, position)
  }

  /** Where page images are read from. */
  get pages(): CheckedPages {
    return { files: this.files, sums: this.applier.sums, frames: this.writer.frames }
  }

  /**
   * Compares the wal-index header with the one that was written last (see CopyLock). Returns the
   * stray write that happened in the gap, if any.
   */
  async checkGap(): Promise<StrayWrite | undefined> {
    const header = this.walIndex.read()
    if (header && this.walIndex.rawHeader.equals(this.writer.rawHeader)) return undefined
    if (header && header.change === this.writer.header.change && header.mxFrame === 0) {
      this.writer.takeOver(header, this.walIndex.rawHeader)
      return undefined
    }
    const before = this.applier.sums.state
    await this.reread()
    const isSameContent = this.applier.sums.state === before
    return { error: strayWrite(this.#options.path, isSameContent), isSameContent }
  }

  /** Reads the whole copy again. Forgets what was not visible yet. */
  async reread(): Promise<void> {
    this.applier.discard()
    const scanned = await scanCopy(this.files, this.#lock)
    const header = scanned.walIndex.read()
    if (!header) throw new WalcastError('WAL_INDEX_UNREADABLE', { path: this.#options.path })
    this.writer = this.#newWriter({ ...scanned, header })
    this.applier = this.#newApplier(scanned, this.applier.position)
  }

  #newWriter({ header, walIndex, frames }: CopyState): WalWriter {
    return new WalWriter(this.files, this.#options.ops, header, walIndex.rawHeader, frames)
  }

  #newApplier({ sums }: CopyState, position: Settled['position']): Applier {
    const { positions } = this.#options
    return new Applier(this.writer, sums, positions, this.files.pageSize, position)
  }
}

export function strayWrite(path: string, isSameContent: boolean): WalcastError {
  const detail = isSameContent ? 'its content is unchanged' : 'its content differs'
  return new WalcastError('STRAY_WRITE', { path, detail })
}
