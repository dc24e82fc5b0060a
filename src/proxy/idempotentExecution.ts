/** One execution of a request with an Idempotency-Key, and how it ended. */
import type { HeaderValue } from './headers.ts'

export interface StoredAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Readonly<Record<string, HeaderValue>>
  readonly body: Buffer
}

/**
 * How the first execution ended: with an answer that was kept, or with one that was not kept or
 * never came (`lost`). `notExecuted`: there was none after all, and requests that waited for it are
 * decided anew.
 */
export type Ending = { readonly answer: StoredAnswer } | { readonly lost: string } | 'notExecuted'

export interface Execution {
  /** The incarnation in which it began. */
  readonly incarnation: string
  /** A txid of that incarnation that contains what it wrote; undefined until it is known. */
  readonly txid: number | undefined
  /** SHA-256 of the request's body, once the whole body was seen. */
  bodyHash: string | undefined
  readonly ending: Promise<Ending>
}

/** Bytes of a kept answer, without its entry. */
export function bytesOf({ statusText, headers, body }: StoredAnswer): number {
  let bytes = statusText.length + body.length
  for (const name in headers)
    for (const value of [headers[name]].flat()) bytes += name.length + value.length
  return bytes
}
