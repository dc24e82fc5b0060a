/**
 * Keys of the encrypted files of changes that this process wrote lately, so that it can merge them:
 * nothing else on a node opens them. They are in memory alone, and no older than a merge needs.
 */
import { createHash } from 'node:crypto'

/** An hour of changes is merged once it has passed. */
export const RECENT_KEY_MS = 3 * 3_600_000
/** Two files a second for as long, and those they were merged into. */
const MAX_KEYS = 32_768

interface Held {
  readonly fileKey: Buffer
  readonly sinceMs: number
}

export class RecentKeys {
  readonly #nowMs: () => number
  /** By the digest of the whole header, in the order in which they came. */
  readonly #keys = new Map<string, Held>()

  /** `nowMs`: any clock that is never set. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  get size(): number {
    this.#forget()
    return this.#keys.size
  }

  /** `header`: all bytes of the header of a file, which no other file has. */
  hold(header: Uint8Array, fileKey: Buffer): void {
    this.#keys.set(digestOf(header), { fileKey, sinceMs: this.#nowMs() })
    this.#forget()
  }

  /** Undefined when it was not held, or too long ago. */
  keyOf(header: Uint8Array): Buffer | undefined {
    this.#forget()
    return this.#keys.get(digestOf(header))?.fileKey
  }

  #forget(): void {
    const oldestMs = this.#nowMs() - RECENT_KEY_MS
    for (const [digest, { fileKey, sinceMs }] of this.#keys) {
      if (sinceMs >= oldestMs && this.#keys.size <= MAX_KEYS) return
      fileKey.fill(0)
      this.#keys.delete(digest)
    }
  }
}

function digestOf(header: Uint8Array): string {
  return createHash('sha256').update(header).digest('base64')
}
