/**
 * When a lease in an object has ended, without a comparison of clocks: a holder changes the object
 * with each renewal, so who sees it unchanged for the whole TTL knows that it was not renewed.
 * Each process counts by its own monotonic clock, from when the first answer with the present ETag
 * had come. That is later than the write, and the write is later than the `sentMs` from which its
 * holder counts.
 *
 * An object that is gone, or is an older one than this process has seen, is not the work of a
 * node: someone removed it or put a copy back, and a holder may still count on its lease. It has
 * to stay so for the TTL as well.
 */
import { monotonicMs } from '../../../platform/time.ts'
import type { LeadContent } from './leadObject.ts'

/**
 * Of the TTL, for clocks of different rates: with a holder's clock 1 % slow and this one 1 % fast,
 * 2.1 % would be enough.
 */
const RATE_MARGIN = 0.03
/** In place of the ETag of an object that is not there. ETags have quotes. */
export const ABSENT = 'absent'

export interface Sighting {
  readonly etag: string
  /** Undefined: there is no object. */
  readonly content: LeadContent | undefined
  /** When it was first seen so, by `monotonicMs()`. */
  readonly sinceMs: number
}

export class Sightings {
  readonly #ttlMs: number
  #last: Sighting | undefined
  #highestCount = 0
  #longestMs: number

  /** `ttlMs`: counted for an object that does not say it. */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs
    this.#longestMs = ttlMs
  }

  /** What was seen last. */
  get last(): Sighting | undefined {
    return this.#last
  }

  /** What a next write has to have. */
  get nextCount(): number {
    return this.#highestCount + 1
  }

  /** To be called when the answer has come, never with the time at which it was asked for. */
  saw(etag: string, content: LeadContent | undefined): Sighting {
    const isSame = this.#last?.etag === etag
    const sighting = isSame && this.#last ? this.#last : { etag, content, sinceMs: monotonicMs() }
    this.#last = sighting
    if (content && content.count >= this.#highestCount) {
      this.#highestCount = content.count
      this.#longestMs = Math.max(this.#ttlMs, content.ttlMs)
    }
    return sighting
  }

  isFree(sighting: Sighting): boolean {
    return monotonicMs() >= this.freeAtMs(sighting)
  }

  /** From when on nobody holds the lease if the object stays so, by `monotonicMs()`. */
  freeAtMs({ content, sinceMs }: Sighting): number {
    const isLatest = (content?.count ?? 0) >= this.#highestCount
    if (isLatest && (content?.holder ?? '') === '') return sinceMs
    const ttlMs = isLatest && content ? content.ttlMs : this.#longestMs
    return sinceMs + ttlMs * (1 + RATE_MARGIN)
  }
}
