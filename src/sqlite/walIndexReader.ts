import { readSync } from 'node:fs'
import { alignedBuffer } from './walFormat.ts'
import { INDEX_HEADER_BYTES, parseIndexHeader, type WalIndexHeader } from './walIndexFormat.ts'

/** How often a header whose copies differ is read again: a writer is between the two for well under a microsecond. */
const ATTEMPTS = 20

/**
 * Reads the published state of a WAL from its `-shm` through a pinned descriptor. It takes no lock and cannot
 * trigger a recovery. The file is mapped by SQLite; on Linux read(2) and a shared mapping see the same bytes.
 */
export class WalIndexReader {
  readonly #fd: number
  readonly #bytes = alignedBuffer(2 * INDEX_HEADER_BYTES)
  readonly #first = this.#bytes.subarray(0, INDEX_HEADER_BYTES)
  readonly #second = this.#bytes.subarray(INDEX_HEADER_BYTES)

  constructor(shmFd: number) {
    this.#fd = shmFd
  }

  /** The published header: both copies equal and their checksum right. Undefined while a writer or a recovery is between the two. */
  read(): WalIndexHeader | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const got = readSync(this.#fd, this.#bytes, 0, this.#bytes.length, 0)
      if (got < this.#bytes.length || this.#first.compare(this.#second) !== 0) continue
      const header = parseIndexHeader(this.#first)
      if (header) return header
    }
    return undefined
  }

  /** The 48 bytes that the last successful `read` parsed; valid until the next one. */
  get rawHeader(): Buffer {
    return this.#first
  }
}
