/**
 * The first attempt at a request that may have been executed, told to the leader by the node that
 * sends the request again. The leader then knows whether it can have executed it, and whether it may
 * have forgotten that.
 */
import type { IncomingMessage } from 'node:http'
import { headerOf } from './headers.ts'

/** On a request that may have been executed and is sent again: `INCARNATION; agoMs=N`. */
export const FIRST_ATTEMPT_HEADER = 'walcast-first-attempt'

export interface FirstAttempt {
  /** The leader's, for which it was meant: no other has executed it. */
  readonly incarnation: string
  /** When it was sent, before the present attempt. A duration: no two clocks are compared. */
  readonly agoMs: number
}

export function formatFirstAttempt({ incarnation, agoMs }: FirstAttempt): string {
  return `${incarnation}; agoMs=${Math.ceil(agoMs)}`
}

/**
 * Undefined when the request is sent for the first time. What cannot be read is taken for an
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
 * Has the first attempt be so much longer ago: the request waited here before what is remembered is
 * looked at.
 */
export function ageFirstAttempt(request: IncomingMessage, waitedMs: number): void {
  const first = firstAttemptOf(request, waitedMs)
  if (first) request.headers[FIRST_ATTEMPT_HEADER] = formatFirstAttempt(first)
}
