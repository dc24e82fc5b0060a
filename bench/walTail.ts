/** Reads what the only writer of a database has appended to its WAL, commit by commit. */
import { closeSync, openSync, readSync } from 'node:fs'
import { FRAME_HEADER_BYTES, frameBytes, WAL_HEADER_BYTES } from '../src/sqlite/walFormat.ts'

export interface CommittedPages {
  /** The last image of each page. */
  readonly images: ReadonlyMap<number, Buffer>
  /** Pages of the database after it. */
  readonly dbPages: number
  /** Bytes of its frames. */
  readonly walBytes: number
}

/** A WAL may be closed at any time: no lock is held on it. */
export class WalTail {
  readonly #path: string
  readonly #frameBytes: number
  readonly #buffer: Buffer
  #fd: number | undefined
  #at = WAL_HEADER_BYTES

  constructor(database: string, pageSize: number) {
    this.#path = `${database}-wal`
    this.#frameBytes = frameBytes(pageSize)
    this.#buffer = Buffer.alloc(this.#frameBytes)
  }

  /** Bytes of the WAL that were read. */
  get bytes(): number {
    return this.#at
  }

  /** The next commit, which must be there. */
  next(): CommittedPages {
    this.#fd ??= openSync(this.#path, 'r')
    const images = new Map<number, Buffer>()
    const from = this.#at
    for (;;) {
      const read = readSync(this.#fd, this.#buffer, 0, this.#frameBytes, this.#at)
      if (read < this.#frameBytes) throw new Error('the WAL ends within a commit')
      this.#at += read
      images.set(
        this.#buffer.readUInt32BE(0),
        Buffer.from(this.#buffer.subarray(FRAME_HEADER_BYTES)),
      )
      const dbPages = this.#buffer.readUInt32BE(4)
      if (dbPages > 0) return { images, dbPages, walBytes: this.#at - from }
    }
  }

  /** The writer has truncated it. */
  restart(): void {
    this.#at = WAL_HEADER_BYTES
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
  }
}
