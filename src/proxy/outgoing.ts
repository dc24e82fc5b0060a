/**
 * A request to another HTTP server, and how it stands on the connection: its target, how the end of
 * its body is told, and its headers with that.
 */
import type { InformationEvent } from 'node:http'
import type { Readable } from 'node:stream'
import type { Reuse } from './connectionPool.ts'
import type { FlatHeaders } from './headers.ts'

export interface Outgoing {
  readonly method: string
  /** Path with query, as it was received; or `*`. */
  readonly path: string
  readonly headers: FlatHeaders
  readonly body: Readable | null
  /** The trailers of the body, once that has ended. */
  readonly trailers?: () => FlatHeaders
  /** Answers before the answer (1xx), as they come. */
  readonly onInterim?: (interim: InformationEvent) => void
  readonly reuse?: Reuse
}

/** A character that Node's client does not send. */
const UNSENDABLE = /[^\u0021-\u00ff]/
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Whether the target has a form that a server understands (RFC 9112, sections 3.2.1 and 3.2.4), in
 * characters that Node's client sends.
 */
export function isTarget({ method, path }: Outgoing): boolean {
  if (path === '*') return method === 'OPTIONS'
  return path.startsWith('/') && !UNSENDABLE.test(path)
}

/** How the end of a request is told, and its headers with that. */
export interface Framing {
  readonly headers: FlatHeaders
  readonly host: string
  readonly isChunked: boolean
  /** Length of the body, if it is told beforehand. */
  readonly bytes: number | undefined
}

/** `defaultHost`: for requests of HTTP/1.0, which may have no Host. */
export function framingOf(
  { method, headers: given, body }: Outgoing,
  defaultHost: string,
): Framing {
  const headers: FlatHeaders = []
  let host: string | undefined
  let bytes: number | undefined
  let trailer: string | undefined
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i].toLowerCase()
    if (name === 'trailer') {
      trailer = given[i + 1]
      continue
    }
    if (name === 'host') host = given[i + 1]
    if (name === 'content-length') bytes = Number(given[i + 1])
    headers.push(given[i], given[i + 1])
  }
  const isChunked = body !== null && bytes === undefined
  if (isChunked) headers.push('transfer-encoding', 'chunked')
  if (isChunked && trailer !== undefined) headers.push('trailer', trailer)
  if (body === null && bytes === undefined && !WITHOUT_BODY.has(method))
    headers.push('content-length', '0')
  if (host === undefined) headers.push('host', defaultHost)
  headers.push('connection', 'keep-alive')
  return { headers, host: host ?? defaultHost, isChunked, bytes }
}

export function pairsOf(flat: FlatHeaders): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]])
  return pairs
}
