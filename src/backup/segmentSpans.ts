/**
 * Which batches a file of the log has, in memory: whoever looks for a place in the log reads a head
 * once, and only files that may have what it looks for.
 */
import type { BatchHead } from './batchRecord.ts'

interface Span {
  readonly first: number
  readonly last: number
}

/** Of each incarnation, from which txid on and up to which one batches begin. */
export type LogSpans = ReadonlyMap<string, Span>

export class SegmentSpans {
  /** Heads before it were taken in. */
  #offset = 0
  #spans: LogSpans = new Map()
  /** The lowest txid after which a batch begins, and the highest to which one leads. */
  #least = Number.POSITIVE_INFINITY
  #most = Number.NEGATIVE_INFINITY

  get offset(): number {
    return this.#offset
  }

  /** `next`: the offset behind the record. A record may be taken in twice. */
  take({ from, to, bytes }: BatchHead, next: number): void {
    this.#offset = Math.max(this.#offset, next)
    // A mark of where a chain begins is no batch.
    if (bytes === 0) return
    this.#spans = joined(this.#spans, from.incarnation, { first: from.txid, last: from.txid })
    this.#least = Math.min(this.#least, from.txid)
    this.#most = Math.max(this.#most, to.txid)
  }

  /** Whether a batch may begin at, or go over, one of the txids from `first` to `last`. */
  mayHave(first: number, last: number): boolean {
    return this.#least <= last && first <= this.#most
  }

  static all(segments: readonly { readonly spans: SegmentSpans }[]): LogSpans {
    let all: LogSpans = new Map()
    for (const { spans } of segments)
      for (const [incarnation, span] of spans.#spans) all = joined(all, incarnation, span)
    return all
  }
}

function joined(spans: LogSpans, incarnation: string, { first, last }: Span): LogSpans {
  const known = spans.get(incarnation)
  if (known && known.first <= first && last <= known.last) return spans
  const span = known
    ? { first: Math.min(known.first, first), last: Math.max(known.last, last) }
    : { first, last }
  return new Map(spans).set(incarnation, span)
}
