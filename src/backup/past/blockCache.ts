/** Blocks of archive files, unpacked and verified; those used last stay in memory. */
import type { ArchiveFile } from '../archiveFile.ts'

export const BLOCK_CACHE_BYTES = 64 * 1024 * 1024

export class BlockCache {
  readonly #maxBytes: number
  /** Those used longest ago first. */
  readonly #blocks = new Map<string, Buffer>()
  #bytes = 0

  constructor(maxBytes = BLOCK_CACHE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** `place` is that of the file among those of the caller. Throws as `ArchiveFile.block` does. */
  async get(place: number, file: ArchiveFile, number: number): Promise<Buffer> {
    const key = `${place} ${number}`
    const known = this.#blocks.get(key)
    const block = known ?? (await file.block(number))
    if (!known) this.#bytes += block.length
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    this.#shrink()
    return block
  }

  /** A block larger than the cache stays until the next one. */
  #shrink(): void {
    for (const [key, { length }] of this.#blocks) {
      if (this.#bytes <= this.#maxBytes || this.#blocks.size === 1) return
      this.#blocks.delete(key)
      this.#bytes -= length
    }
  }
}
