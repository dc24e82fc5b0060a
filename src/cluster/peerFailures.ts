/** What is thrown when a call to another node fails. */

import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import { type ErrorCode, isErrorCode, messageOf, systemCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { NOT_CONNECTED } from './peerRequest.ts'

/** Anything thrown on the way to HOST:PORT. An error of the catalogue says more already. */
export function unreachable(address: string, error: unknown): WalcastError {
  if (error instanceof WalcastError) return error
  return new WalcastError('NODE_UNREACHABLE', { url: address, detail: messageOf(error) }, error)
}

/** The error of the catalogue that a node answers, else NODE_ANSWER. */
export function answeredError(
  url: string,
  status: number,
  { code, message }: Record<string, unknown>,
): WalcastError {
  const key = String(code ?? '').replace(/^WALCAST_/, '')
  if (isErrorCode(key))
    return new WalcastError(key as ErrorCode, {
      message: plainText(String(message ?? ''), MAX_TEXT_CHARS),
    })
  return new WalcastError('NODE_ANSWER', {
    url,
    detail: `${status}: ${plainText(String(message ?? ''), 200)}`,
  })
}

/**
 * Whether a `tell` that failed with `error` certainly never arrived: there was no connection. An
 * established connection never fails like this.
 */
export function wasNotSent(error: unknown): boolean {
  return error instanceof WalcastError && systemCode(error.cause) === NOT_CONNECTED
}
