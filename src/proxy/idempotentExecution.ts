/** One execution of a request with an Idempotency-Key, and how it ended. */
import type { HeaderValue } from './headers.ts'

export interface StoredAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Readonly<Record<string, HeaderValue>>
  readonly body: Buffer
}

/**
 * How the first execution ended: with an answer that was kept, or with one that was not or never
 * came; or it was none, and whoever waited for it decides anew.
 */
export type Ending = { readonly answer: StoredAnswer } | { readonly lost: string } | 'notExecuted'

export interface Execution {
  /** In which it was begun. */
  readonly incarnation: string
  /** In that incarnation, a txid that contains what it wrote; undefined until it is known. */
  readonly txid: number | undefined
  /** SHA-256 of the request's body, once all of it was seen. */
  bodyHash: string | undefined
  readonly ending: Promise<Ending>
}

/** What a kept answer takes, without its entry. */
export function bytesOf({ statusText, headers, body }: StoredAnswer): number {
  let bytes = statusText.length + body.length
  for (const name in headers)
    for (const value of [headers[name]].flat()) bytes += name.length + value.length
  return bytes
}
