/** Standard output for data that may be too large to wait in memory. */
import { once } from 'node:events'
import { systemCode, writeError } from '../errors.ts'

/** How many characters are gathered into one write. */
const CHUNK = 64 * 1024

export class DataOutput {
  readonly #stream: NodeJS.WriteStream
  #gathered = ''
  #error: unknown

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    stream.on('error', (error) => {
      this.#error ??= error
    })
  }

  /**
   * Waits while the reader is behind. False when the reader has left, as `head` does. Throws
   * WRITE_FAILED or DISK_FULL.
   */
  async write(text: string): Promise<boolean> {
    this.#gathered += text
    return this.#gathered.length < CHUNK || this.#flush()
  }

  /** Writes what is left. */
  async end(): Promise<boolean> {
    return this.#flush()
  }

  async #flush(): Promise<boolean> {
    const text = this.#gathered
    this.#gathered = ''
    if (!this.#stream.write(text) && this.#error === undefined)
      await once(this.#stream, 'drain').catch((error) => {
        this.#error ??= error
      })
    if (this.#error === undefined) return true
    if (systemCode(this.#error) === 'EPIPE') return false
    throw writeError('standard output', this.#error)
  }
}
