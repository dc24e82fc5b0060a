/**
 * A new file of a bundle, written from beginning to end in pieces of up to 1 MiB, and synced at the
 * end.
 */
import type { FileHandle } from 'node:fs/promises'
import { writeError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { openAside } from '../../platform/files.ts'

const BUFFER_BYTES = 1024 * 1024

export class KeptFile {
  readonly #path: string
  readonly #ops: FileOps
  readonly #file: FileHandle
  #text = ''
  #written = 0

  private constructor(path: string, ops: FileOps, file: FileHandle) {
    this.#path = path
    this.#ops = ops
    this.#file = file
  }

  /**
   * Creates `path` and calls `write` to fill it. Throws DISK_FULL, WRITE_FAILED, or what `write`
   * throws.
   */
  static async write(
    path: string,
    ops: FileOps,
    write: (file: KeptFile) => Promise<void>,
  ): Promise<void> {
    const file = await openAside(path, 'wx', 0o600).catch((error) => {
      throw writeError(path, error)
    })
    try {
      const kept = new KeptFile(path, ops, file)
      await write(kept)
      await kept.#flush()
      await ops.syncAside('kept.sync', [file.fd], path)
    } finally {
      await file.close()
    }
  }

  /** `bytes` must not change until it resolves. */
  async append(bytes: Buffer): Promise<void> {
    await this.#ops.writeAside('kept.write', this.#file.fd, bytes, this.#written, this.#path)
    this.#written += bytes.length
  }

  async line(text: string): Promise<void> {
    this.#text += `${text}\n`
    if (this.#text.length >= BUFFER_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text)
    this.#text = ''
    if (bytes.length > 0) await this.append(bytes)
  }
}
