/** The last step of a request: its answer, with what walcast adds. */
import { formatPosition, type Position } from '../../proto/position.ts'
import type { AckHeaders } from './ackWaits.ts'
import { type Client, isSending } from './client.ts'
import { type HeaderValue, ofAnswer, POSITION_HEADER, STALE_HEADER } from './headers.ts'
import type { StoredAnswer } from './idempotentExecution.ts'
import { closeInStages } from './lingeringClose.ts'
import { type PositionCookie, securedFor } from './positionCookie.ts'
import { Answer, relay } from './relayedAnswer.ts'

export interface Delivered {
  /** The position that the answer is based on. */
  readonly position: Position | undefined
  /** What this node had not applied yet. */
  readonly stale?: string | undefined
  readonly isWrite: boolean
  /** Which replicas hold the write, if the answer waited for that. */
  readonly acks?: AckHeaders | undefined
}

/** `cookie`: undefined between nodes, which read headers only. */
export function deliver(
  client: Client,
  answer: Answer | StoredAnswer,
  delivered: Delivered,
  cookie: PositionCookie | undefined,
): void {
  const headers = headersFor(client, answer, delivered, cookie)
  if (answer instanceof Answer) return relay(answer, client.response, headers)
  const { status, body } = answer
  if (status !== 204 && status !== 304) headers['content-length'] = String(body.length)
  delete headers['trailer']
  client.response.writeHead(status, answer.statusText, headers)
  client.response.end(client.method === 'HEAD' ? undefined : body)
}

function headersFor(
  { request, response, origin }: Client,
  answer: Answer | StoredAnswer,
  { position, stale, isWrite, acks }: Delivered,
  cookie: PositionCookie | undefined,
): Record<string, HeaderValue> {
  const headers = ofAnswer(answer.headers)
  if (position) headers[POSITION_HEADER] = formatPosition(position)
  if (stale !== undefined) headers[STALE_HEADER] = stale
  if (acks) Object.assign(headers, acks)
  // A 204 has none (RFC 9110, section 8.6), whatever an application says.
  if (answer.status === 204) delete headers['content-length']
  if (isSending(request)) {
    headers['connection'] = 'close'
    closeInStages(response)
  }
  const cacheControl = String(answer.headers['cache-control'] ?? '')
  const setCookie =
    position &&
    cookie?.renewal(position, request.headers.cookie, {
      isWrite,
      isStale: stale !== undefined,
      cacheControl,
    })
  if (setCookie !== undefined)
    headers['set-cookie'] = [...listOf(headers['set-cookie']), securedFor(origin, setCookie)]
  return headers
}

function listOf(value: HeaderValue | undefined): string[] {
  return value === undefined ? [] : [value].flat()
}
