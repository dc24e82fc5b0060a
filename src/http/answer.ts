/** Answers that a node makes itself. */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import { keyOf, type WalcastError } from '../errors.ts'
import { isSending } from './client.ts'

/** What every refused request is answered with. */
export function errorBody(error: WalcastError): {
  readonly code: string
  readonly message: string
  readonly cure: string
} {
  return { code: error.code, message: error.message, cure: error.cure }
}

/** Answers with an error, if no answer has begun; cuts the connection otherwise, so that half an answer is not taken for a whole one. */
export function sendError(
  response: ServerResponse,
  error: WalcastError,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendJson(response, error.status, errorBody(error), headers)
}

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
  if (isSending(response.req)) all['connection'] = 'close'
  // The reason is given: one that an answer left behind whose head could not be written would go out otherwise.
  response.writeHead(status, STATUS_CODES[status] ?? 'Unknown', all)
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** Errors after which the client does best to come back: with Retry-After. */
export function retryAfterOf(error: unknown): Record<string, string> {
  switch (keyOf(error)) {
    case 'LEADER_AWAY':
    case 'TOO_MANY_HELD':
    case 'TOO_MANY_REQUESTS':
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
