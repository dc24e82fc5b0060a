/** POSTs a notice to a URL of the operator's, again after a pause when it is not taken. */
import { createHmac } from 'node:crypto'
import { messageOf } from '../errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { request } from '../platform/sockets.ts'
import { delay, timeLimit } from '../platform/time.ts'

export const SIGNATURE_HEADER = 'walcast-signature'
/** Of an answer that nobody reads, before its connection is closed. */
const MAX_ANSWER_BYTES = 64 * 1024

export interface WebhookTarget {
  /** Its path and query may be a secret: they are not logged. */
  readonly url: string
  readonly secret: string | undefined
  readonly timeoutMs: number
  readonly retry: WebhookRetry
}

export interface WebhookRetry {
  /** Tries of one notice in all. */
  readonly attempts: number
  /** The pause after the first try, which grows up to the longest. */
  readonly minMs: number
  readonly maxMs: number
}

export const WEBHOOK_RETRY: WebhookRetry = { attempts: 6, minMs: 1000, maxMs: 30_000 }

export interface Delivery {
  readonly delivered: boolean
  readonly attempts: number
  /** Of the last answer, when there was one. */
  readonly status?: number
  readonly failure?: string
}

/** `sha256=` and the HMAC-SHA256 of the body with the cluster secret, in hex. */
export function signatureOf(secret: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

/**
 * Never rejects. Taken is what a status of 200 to 299 answers; one that will not change (other than
 * 408, 429 and 5xx) is not tried again.
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
  { url, secret, timeoutMs }: WebhookTarget,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status?: number; readonly failure?: string }> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (secret !== undefined) headers[SIGNATURE_HEADER] = signatureOf(secret, body)
  const limit = AbortSignal.any([signal, timeLimit(timeoutMs)])
  try {
    const answer = await request(url, { method: 'POST', headers, body, signal: limit, reset: true })
    // The status says all; an answer that does not end is no failure.
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal: limit }).catch(() => {})
    return { status: answer.statusCode }
  } catch (error) {
    return { failure: signal.aborted ? 'the node stops' : messageOf(error) }
  }
}
