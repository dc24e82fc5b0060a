/** The last step of a request: its answer with what walcast adds. */
import { formatPosition, type Position } from '../../proto/position.ts'
import type { StoredAnswer } from './answerMemory.ts'
import { type Client, isSending } from './client.ts'
import { type HeaderValue, headerOf, POSITION_HEADER, STALE_HEADER } from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'
import { Answer, reasonOf, relay } from './relayedAnswer.ts'
import { reachFrom } from './waits.ts'

export interface Delivered {
  /** That the answer may be based on. */
  readonly position: Position | undefined
  /** What is not applied here yet. */
  readonly stale?: string | undefined
  /** A write's position is always promised; a read's only where it tells the client something new and no shared cache keeps it. */
  readonly isWrite: boolean
}

/** `cookie`: undefined between nodes, where only headers count. */
export function deliver(
  client: Client,
  answer: Answer | StoredAnswer,
  delivered: Delivered,
  cookie: PositionCookie | undefined,
): void {
  const { position, stale } = delivered
  const added: Record<string, string> = {}
  if (position) added[POSITION_HEADER] = formatPosition(position)
  if (stale !== undefined) added[STALE_HEADER] = stale
  const setCookie = cookie && position && cookieFor(client, answer, delivered, cookie, position)
  if (answer instanceof Answer) return relay(answer, client.response, added, setCookie)
  const { status, headers, body } = answer
  const all: Record<string, HeaderValue> = { ...headers, ...added }
  if (status !== 204 && status !== 304) all['content-length'] = String(body.length)
  delete all['trailer']
  if (isSending(client.request)) all['connection'] = 'close'
  if (setCookie) all['set-cookie'] = [...[headers['set-cookie'] ?? []].flat(), setCookie]
  client.response.writeHead(status, reasonOf(answer), all)
  client.response.end(client.method === 'HEAD' ? undefined : body)
}

function cookieFor(
  client: Client,
  answer: Answer | StoredAnswer,
  { isWrite, stale }: Delivered,
  cookie: PositionCookie,
  position: Position,
): string | undefined {
  if (!isWrite) {
    const carried = cookie.read(headerOf(client.request, 'cookie'))
    if (carried && carried.epoch === position.epoch && carried.txid === position.txid) return undefined
    // Served although it lacks what the client has seen: its promise stands for the reads that follow.
    if (stale !== undefined && carried && reachFrom(position, carried, false) === 'ahead') return undefined
    if (isShared(String(answer.headers['cache-control'] ?? ''))) return undefined
  }
  return cookie.write(position)
}

/** Whether caches may give the answer to other clients (RFC 9111, section 3.5). */
export function isShared(cacheControl: string): boolean {
  return /\b(public|s-maxage|immutable)\b/i.test(cacheControl)
}
