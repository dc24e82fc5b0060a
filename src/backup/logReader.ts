/**
 * Reads a file of the log from one end to the other, many records at a time: each read holds up the
 * archive until a thread had its turn.
 */
import { readAside } from '../platform/files.ts'
import { nextTurn } from '../platform/time.ts'

/** The first read may be the only one; each further one is twice as large, up to the limit. */
const FIRST_BYTES = 64 * 1024
const MOST_BYTES = 1024 * 1024
/** Small records are many at once: the thread handles what came meanwhile after so many. */
const READS_A_TURN = 64

export class LogReader {
  readonly #fd: number
  #nextBytes = FIRST_BYTES
  #window: Buffer = Buffer.alloc(0)
  #windowAt = 0
  #reads = 0

  /** `fd` stays open while this is used. */
  constructor(fd: number) {
    this.#fd = fd
  }

  /** Fewer bytes at the end of the file. What is given stays as it is. */
  async read(at: number, bytes: number): Promise<Buffer> {
    if (++this.#reads % READS_A_TURN === 0) await nextTurn()
    const from = at - this.#windowAt
    const isIn = from >= 0 && from + bytes <= this.#window.length
    if (isIn) return this.#window.subarray(from, from + bytes)
    const window = Buffer.allocUnsafeSlow(Math.max(bytes, this.#nextBytes))
    this.#nextBytes = Math.min(MOST_BYTES, 2 * this.#nextBytes)
    const { bytesRead } = await readAside(this.#fd, window, 0, window.length, at)
    this.#window = window.subarray(0, bytesRead)
    this.#windowAt = at
    return this.#window.subarray(0, bytes)
  }
}
