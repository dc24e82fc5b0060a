/** Errors as a replica meets them on its connection, and what they mean for it. */
import type { Body } from '../../proto/messages.ts'
import { type ErrorCode, isErrorCode, WalcastError } from '../errors.ts'

/** Errors that a first contact ends with, because waiting does not mend them. */
export const FATAL_AT_FIRST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'WRONG_CLUSTER',
  'WRONG_SECRET',
  'PROTOCOL_VERSION',
  'SELF_LEADER',
  'UNKNOWN_DATABASE',
])
/** Errors of received bytes: counted, nothing of them is applied. */
export const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MESSAGE_BAD',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_CHECKSUM',
  'STATE_MISMATCH',
])

/** What the node at `address` said before it closed. */
export function errorOf(body: Body<'error'>, address: string): WalcastError {
  if (!isErrorCode(body.code))
    return new WalcastError('LEADER_UNREACHABLE', { address, detail: body.message })
  return new WalcastError(body.code, { message: body.message, address, db: body.db })
}
