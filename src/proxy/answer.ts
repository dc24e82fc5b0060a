/** Answers that a node makes itself. */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { DatabaseView } from '../api/databaseView.ts'
import { asWalcastError, keyOf, WalcastError } from '../errors.ts'
import { isSending } from './client.ts'
import { closeInStages } from './lingeringClose.ts'

/** The body of every refusal. */
export interface ErrorBody {
  readonly code: string
  readonly message: string
  readonly cure: string
}

export function errorBody(error: WalcastError): ErrorBody {
  return { code: error.code, message: error.message, cure: error.cure }
}

/**
 * Answers with the error and returns it as one of the catalogue. `onFailure` is called for errors
 * that the catalogue does not know. `bodyOf`: what this client may be told.
 */
export function sendFailure(
  response: ServerResponse,
  error: unknown,
  onFailure: (error: WalcastError) => void,
  bodyOf: (error: WalcastError) => ErrorBody = errorBody,
): WalcastError {
  const known = asWalcastError(error)
  if (known.key === 'INTERNAL') onFailure(known)
  sendJson(response, known.status, bodyOf(known), retryAfterOf(known))
  return known
}

/**
 * The same, and counts the refusal unless the client has left: its leaving says nothing of the
 * application.
 */
export function sendRefusal(
  response: ServerResponse,
  error: unknown,
  host: {
    onFailure(error: WalcastError): void
    onRefused(error: WalcastError): void
    bodyOf(error: WalcastError): ErrorBody
  },
): void {
  const isGone = response.destroyed
  const known = sendFailure(
    response,
    error,
    (unforeseen) => host.onFailure(unforeseen),
    (told) => host.bodyOf(told),
  )
  if (!isGone) host.onRefused(known)
}

/**
 * Answers if no answer has begun. Otherwise it cuts the connection, so that half an answer does not
 * look whole.
 */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return void response.destroy()
  const body = JSON.stringify(value)
  const all: Record<string, string | number> = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...headers,
  }
  if (isSending(response.req)) {
    all['connection'] = 'close'
    closeInStages(response)
  }
  // With a reason of its own: an earlier head that could not be written leaves its reason behind.
  response.writeHead(status, STATUS_CODES[status] ?? 'Unknown', all)
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** An answer that a node makes itself, before it is written. */
export interface OwnAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
}

/**
 * Why a standby serves nothing. `primaryUrl`: where clients find the leader, if this node knows.
 */
export function standbyError(primaryUrl: string | undefined): WalcastError {
  return new WalcastError('STANDBY', { leader: primaryUrl ?? 'its public address' })
}

/** What a standby answers in place of its application. */
export function standbyAnswer(primaryUrl: string | undefined): OwnAnswer {
  const error = standbyError(primaryUrl)
  const body = { detail: error.message, primary_url: primaryUrl ?? null, code: error.code }
  return { status: error.status, headers: retryAfterOf(error), body }
}

/**
 * The answer to `/readyz`. `unwell`: what keeps clients from being served although the node itself
 * can serve.
 */
export function readinessAnswer(
  view: DatabaseView,
  isStopping: boolean,
  unwell?: string,
): OwnAnswer {
  const reasons = isStopping ? ['stopping'] : [...view.notReady(), ...(unwell ? [unwell] : [])]
  const ready = reasons.length === 0
  return { status: ready ? 200 : 503, headers: {}, body: { ready, reasons } }
}

/** Headers of an error's answer: Retry-After (1 s) where the client should come back. */
export function retryAfterOf(error: unknown): Record<string, string> {
  switch (keyOf(error)) {
    case 'TOO_MANY_ATTEMPTS':
      return { 'retry-after': String(asWalcastError(error).details['seconds'] ?? 1) }
    case 'LEADER_AWAY':
    case 'NO_LEADER':
    case 'TOO_MANY_HELD':
    case 'TOO_MANY_REQUESTS':
    case 'TOO_MANY_FROM_CLIENT':
    case 'TOO_MANY_CONNECTIONS':
    case 'TOO_MANY_UPGRADES':
    case 'NOT_EXECUTED':
    case 'STALE_READ':
    case 'APP_UNREACHABLE':
    case 'STANDBY':
    case 'STOPPING':
    case 'STARTING':
      return { 'retry-after': '1' }
    default:
      return {}
  }
}
