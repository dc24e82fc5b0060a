/**
 * The first attempt at a request that may have been executed. The node that sends the request again
 * tells the leader of it. The leader then knows whether it can have executed the request, and
 * whether it may have forgotten that.
 */
import type { IncomingMessage } from 'node:http'
import { headerOf } from './headers.ts'

/** On a request that may have been executed and is sent again: `INCARNATION; agoMs=N`. */
export const FIRST_ATTEMPT_HEADER = 'walcast-first-attempt'

export interface FirstAttempt {
  /** The incarnation of the leader for which it was meant: no other has executed it. */
  readonly incarnation: string
  /** How long before the present attempt it was sent. A duration: no two clocks are compared. */
  readonly agoMs: number
}

export function formatFirstAttempt({ incarnation, agoMs }: FirstAttempt): string {
  return `${incarnation}; agoMs=${Math.ceil(agoMs)}`
}

/**
 * Undefined when the request is sent for the first time. A header that cannot be read stands for an
 * attempt of which nothing is known. `waitedMs`: since the request came.
 */
export function firstAttemptOf(request: IncomingMessage, waitedMs = 0): FirstAttempt | undefined {
  const text = headerOf(request, FIRST_ATTEMPT_HEADER)
  if (text === undefined) return undefined
  const match = /^([0-9a-f]{16}); agoMs=(\d{1,15})$/.exec(text)
  if (!match) return { incarnation: '', agoMs: Number.POSITIVE_INFINITY }
  return { incarnation: match[1], agoMs: Number(match[2]) + waitedMs }
}

/**
 * Adds `waitedMs` to the age of the first attempt: the request waited here before the store was
 * asked.
 */
export function ageFirstAttempt(request: IncomingMessage, waitedMs: number): void {
  const first = firstAttemptOf(request, waitedMs)
  if (first) request.headers[FIRST_ATTEMPT_HEADER] = formatFirstAttempt(first)
}
