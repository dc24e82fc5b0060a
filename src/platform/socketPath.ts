/**
 * Paths of Unix sockets. The system takes few bytes of a path (`sun_path` in unix(7)). On Linux a
 * longer one is reached through a descriptor of its folder: `/proc/self/fd/N/NAME` stays short
 * however deep the folder lies.
 */
import { closeSync, constants, openSync } from './files.ts'

const MAX_BYTES = process.platform === 'linux' ? 107 : 103

export class SocketPath {
  /** To be given to bind(2) or connect(2), until `close`. */
  readonly path: string
  #folder: number | undefined

  /** Throws what open(2) does, and an Error where the path is too long for the system. */
  constructor(folder: string, name: string) {
    const whole = `${folder}/${name}`
    const bytes = Buffer.byteLength(whole)
    this.path = whole
    if (bytes <= MAX_BYTES) return
    if (process.platform !== 'linux')
      throw new Error(`a socket has a path of at most ${MAX_BYTES} bytes here, not ${bytes}`)
    this.#folder = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    this.path = `/proc/self/fd/${this.#folder}/${name}`
  }

  close(): void {
    if (this.#folder !== undefined) closeSync(this.#folder)
    this.#folder = undefined
  }
}
