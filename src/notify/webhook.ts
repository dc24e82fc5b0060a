/** POSTs a notice to a URL of the operator's, and retries after a failure. */
import { createHmac } from 'node:crypto'
import { messageOf } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { httpClient } from '../platform/httpClient.ts'
import { delay, timeLimit } from '../platform/time.ts'

const SIGNATURE_HEADER = 'walcast-signature'
/** The most bytes of an answer that are discarded before the connection is closed. */
const MAX_ANSWER_BYTES = 64 * 1024

export interface WebhookTarget {
  /** Path and query may hold a secret, so logs show only the origin. */
  readonly url: string
  /** Signs the body; undefined in a cluster without a secret. */
  readonly key: string | undefined
  readonly timeoutMs: number
  readonly retry: WebhookRetry
}

export interface WebhookRetry {
  /** The most attempts for one notice. */
  readonly attempts: number
  /** Pause after the first attempt; later pauses grow up to `maxMs`. */
  readonly minMs: number
  readonly maxMs: number
}

export const WEBHOOK_RETRY: WebhookRetry = { attempts: 6, minMs: 1000, maxMs: 30_000 }

export interface Delivery {
  readonly delivered: boolean
  readonly attempts: number
  /** Status of the last answer, if there was one. */
  readonly status?: number
  readonly failure?: string
}

/** `sha256=` and the HMAC-SHA256 of the body with the key, in hex. */
export function signatureOf(key: string, body: string): string {
  return `sha256=${createHmac('sha256', key).update(body).digest('hex')}`
}

/**
 * Never rejects. A status of 200 to 299 means that the notice was delivered. After 408, 429, 5xx or
 * no answer it tries again; any other status is final.
 */
export async function deliver(
  target: WebhookTarget,
  notice: object,
  signal: AbortSignal,
): Promise<Delivery> {
  const { attempts, minMs, maxMs } = target.retry
  const backoff = new Backoff(minMs, maxMs)
  const body = JSON.stringify(notice)
  for (let attempt = 1; ; attempt++) {
    const { status, failure } = await post(target, body, signal)
    const known = status === undefined ? {} : { status }
    if (status !== undefined && status >= 200 && status < 300)
      return { delivered: true, attempts: attempt, ...known }
    if (signal.aborted || attempt >= attempts || !isWorthAnother(status))
      return {
        delivered: false,
        attempts: attempt,
        failure: failure ?? `it answered ${status}`,
        ...known,
      }
    await delay(backoff.nextMs(), { signal }).catch(() => {})
  }
}

function isWorthAnother(status: number | undefined): boolean {
  return status === undefined || status === 408 || status === 429 || status >= 500
}

async function post(
  { url, key, timeoutMs }: WebhookTarget,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status?: number; readonly failure?: string }> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (key !== undefined) headers[SIGNATURE_HEADER] = signatureOf(key, body)
  const limit = AbortSignal.any([signal, timeLimit(timeoutMs)])
  try {
    const answer = await httpClient().request(url, {
      method: 'POST',
      headers,
      body,
      signal: limit,
      reset: true,
    })
    // The status is enough; an endless body is no failure.
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal: limit }).catch(() => {})
    return { status: answer.statusCode }
  } catch (error) {
    return { failure: signal.aborted ? 'the node stops' : messageOf(error) }
  }
}
