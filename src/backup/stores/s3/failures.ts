/**
 * Which failures of a request may pass when it is made again, and what people read of one that does
 * not. Texts of the store are never shown: it may repeat there what it was sent. Its codes are.
 */
import { messageOf, systemCode, WalcastError } from '../../../errors.ts'
import { httpClient } from '../../../platform/httpClient.ts'
import { type Answer, AnswerPacked, AnswerTooLong } from './answer.ts'

/** What a request is for, for people: `list changes/0`. */
export type Purpose = string

/** Codes with a status of 4xx after which S3 says to try again. */
const PASSING: ReadonlySet<string> = new Set([
  // The store has waited too long for the body.
  'RequestTimeout',
  // Another request wrote or removed the same object at that moment.
  'ConditionalRequestConflict',
  'OperationAborted',
])
/** Codes after which other keys may help. */
const KEY_CODES: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
])
const SETUP_CODES = /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/
const NEW_KEYS = 'give it new temporary keys (AWS_SESSION_TOKEN with its two keys)'
const RIGHT_KEYS = 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in use'
const RIGHTS = 'give these keys the rights that docs/backup/s3.md lists, on this bucket and prefix'
const RIGHT_CLOCK = 'set the clock of this machine'
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: 'create the bucket, or correct its name or endpoint',
  ExpiredToken: NEW_KEYS,
  InvalidToken: NEW_KEYS,
  TokenRefreshRequired: NEW_KEYS,
  InvalidAccessKeyId: RIGHT_KEYS,
  SignatureDoesNotMatch: RIGHT_KEYS,
  RequestTimeTooSkewed: RIGHT_CLOCK,
  RequestExpired: RIGHT_CLOCK,
  AccessDenied: RIGHTS,
  AllAccessDisabled: RIGHTS,
}

export function mayPass({ status, code }: Answer): boolean {
  return status === 429 || (status >= 500 && status !== 501) || PASSING.has(code)
}

export function wantsOtherKeys({ status, code }: Answer): boolean {
  return KEY_CODES.has(code) || (status === 403 && code === '')
}

/** The store `name` has answered `purpose` with a failure. `attempts`: how often it was asked. */
export function answerFailure(
  name: string,
  purpose: Purpose,
  answer: Answer,
  attempts: number,
): WalcastError {
  const { status, code, region } = answer
  const told = code ? `${status} ${code}` : String(status)
  if (mayPass(answer)) return unreachable(name, `${purpose}: ${told}${after(attempts)}`)
  const isElsewhere = region !== undefined && status <= 400
  const advice = isElsewhere
    ? `write region=${region} into the place, or another endpoint`
    : status < 400
      ? 'it sends to another address, where walcast takes no signature: correct the endpoint'
      : (ADVICE[code] ?? (status === 403 ? RIGHTS : 'check its bucket, region and endpoint'))
  return new WalcastError('STORE_REFUSED', { store: name, what: `${purpose}: ${told}`, advice })
}

/** Whether there is no sense in a further attempt after this failure to get a whole answer. */
export function isFinal(error: unknown): boolean {
  return (
    error instanceof AnswerTooLong ||
    error instanceof AnswerPacked ||
    SETUP_CODES.test(codeOf(error)) ||
    codeOf(error) === 'UND_ERR_INVALID_ARG'
  )
}

/** No whole answer came from the store `name`. */
export function silenceFailure(
  name: string,
  purpose: Purpose,
  error: unknown,
  attempts: number,
): WalcastError {
  if (error instanceof AnswerTooLong || error instanceof AnswerPacked)
    return brokenAnswer(name, purpose, error.message, error)
  const code = codeOf(error)
  if (error instanceof httpClient().errors.HTTPParserError)
    return brokenAnswer(name, purpose, `it is not HTTP${after(attempts)}`, error)
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return unreachable(name, `${purpose}: the endpoint speaks no TLS`, error)
  const isLate = error instanceof Error && error.name === 'TimeoutError'
  const detail = isLate ? 'no whole answer in time' : textOf(error)
  return unreachable(name, `${purpose}: ${detail}${after(attempts)}`, error)
}

/** An answer that makes no sense. */
export function brokenAnswer(
  name: string,
  purpose: Purpose,
  detail: string,
  cause?: unknown,
): WalcastError {
  return new WalcastError('STORE_BROKEN', { store: name, detail: `${purpose}: ${detail}` }, cause)
}

const UNREACHABLE_CURE =
  'check the network, the endpoint and the region, and that the store runs; see docs/backup/s3.md'

function unreachable(store: string, detail: string, cause?: unknown): WalcastError {
  const cure = UNREACHABLE_CURE
  return new WalcastError('STORE_UNREACHABLE', { store, detail, cure }, cause)
}

const after = (attempts: number) => (attempts > 1 ? ` (${attempts} attempts)` : '')

function codeOf(error: unknown): string {
  return systemCode(causeOf(error)) || systemCode(error)
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error
}

function textOf(error: unknown): string {
  const cause = causeOf(error)
  // A name with several addresses has one failure for each.
  if (cause instanceof AggregateError && cause.message === '')
    return cause.errors.map(messageOf).join(', ')
  return messageOf(cause)
}
