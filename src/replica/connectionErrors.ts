/** What the errors of a connection to the leader mean for a replica. */
import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import type { Body } from '../../proto/messages.ts'
import { type ErrorCode, isErrorCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { Clock } from '../platform/clock.ts'

/** Errors of a first contact that waiting does not mend. */
const FATAL_AT_FIRST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'WRONG_CLUSTER',
  'WRONG_SECRET',
  'PROTOCOL_VERSION',
  'SELF_LEADER',
  'UNKNOWN_DATABASE',
])
/** Errors of received bytes. The replica applies none of them and counts them. */
export const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MESSAGE_BAD',
  'CLAIM_REFUSED',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_CHECKSUM',
  'STATE_MISMATCH',
])

/**
 * The leader misses a crashed replica only after some seconds. Until then it refuses the replica's
 * next process as a twin.
 */
const ID_TAKEN_MS = 10_000

/** Decides which errors end the replica instead of a new attempt. */
export class FatalErrors {
  readonly #clock: Clock
  readonly #mayWait: boolean
  /** When the leader first answered NODE_ID_TAKEN; undefined while it does not. */
  #takenSinceMs: number | undefined

  /**
   * `mayWait`: this node had a database of the cluster before it came to follow, so no error of a
   * first contact is fatal.
   */
  constructor(clock: Clock, mayWait: boolean) {
    this.#clock = clock
    this.#mayWait = mayWait
  }

  onWelcome(): void {
    this.#takenSinceMs = undefined
  }

  /** `isFirst`: no leader has welcomed this replica yet. */
  isFatal({ key }: WalcastError, isFirst: boolean): boolean {
    const nowMs = this.#clock.nowMs()
    this.#takenSinceMs = key === 'NODE_ID_TAKEN' ? (this.#takenSinceMs ?? nowMs) : undefined
    if (nowMs - (this.#takenSinceMs ?? nowMs) >= ID_TAKEN_MS) return true
    return isFirst && !this.#mayWait && FATAL_AT_FIRST.has(key)
  }
}

/** The error that the node at `address` sent before it closed. */
export function errorOf(body: Body<'error'>, address: string): WalcastError {
  const message = plainText(body.message, MAX_TEXT_CHARS)
  if (!isErrorCode(body.code))
    return new WalcastError('LEADER_UNREACHABLE', { address, detail: message })
  return new WalcastError(body.code, { message, address, db: body.db })
}
