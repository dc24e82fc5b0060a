/** Headers on their way through a node: what is passed on, what is taken off, what is added. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { canonicalAddress } from '../options/network.ts'
import { REPLICA_AUTH_HEADER } from '../security/auth.ts'
import { type Origin, UNKNOWN_ADDRESS } from './clientAddress.ts'
import { targetHostOf } from './requestTarget.ts'

/** A read asks for it, an answer tells it: `EPOCH-TXID`. */
export const POSITION_HEADER = 'walcast-position'
/** A read asks for data at most so old: `250ms`. */
export const MAX_STALENESS_HEADER = 'walcast-max-staleness'
/** On an answer: what this node had not applied when it answered, a position or a time. */
export const STALE_HEADER = 'walcast-stale'
/** On a request: how many replicas are to hold a write before it is answered (see AckLevel). */
export const ACK_HEADER = 'walcast-ack'
/** On an answer: as many hold it, and how many do: `one; replicas=2`. */
export const ACKED_HEADER = 'walcast-acked'
/** On an answer: the write stands, and not as many as asked for are known to hold it. */
export const NOT_REPLICATED_HEADER = 'walcast-not-replicated'
/** The application asks for the request to be replayed: `leader`. */
export const REPLAY_HEADER = 'walcast-replay'
/** On an answer of a leader: nothing was executed, the request may be sent again. */
export const NOT_EXECUTED_HEADER = 'walcast-not-executed'
/**
 * On a request that is forwarded: the leader's incarnation for which it is meant. A leader in
 * another one refuses it.
 */
export const INCARNATION_HEADER = 'walcast-incarnation'
/** On a request that may have been executed and is sent again: see FirstAttempt. */
export const FIRST_ATTEMPT_HEADER = 'walcast-first-attempt'
/**
 * On a request that is forwarded: for how long, in ms, the leader may keep it until its application
 * takes it. 0: a read that is not kept at all, since the sender tries elsewhere.
 */
export const HOLD_HEADER = 'walcast-hold'
/**
 * On a read that the leader has a replica's application answer: the position that the answer is to
 * be based on.
 */
export const LENT_HEADER = 'walcast-lent'
/** On a request to the application: the node that passed it on, so that none comes round. */
export const VIA_HEADER = 'walcast-via'
/** Between nodes: the name under which the client asked. */
export const HOST_HEADER = 'walcast-host'
/** Between nodes: the client's address, as the node that forwards saw it. */
export const CLIENT_HEADER = 'walcast-client'
/** From a node to an application in its own process: see Passes. */
export const PASS_HEADER = 'walcast-pass'

/**
 * What of `walcast-` headers a client may send. All others are between nodes: they are taken off
 * what a client sends, and count only on the private side, on a request with a valid
 * `X-Replica-Auth`. `walcast-via` is here because a request that goes in a circle comes back as a
 * client's, with the name of each node on its way. It says nothing else: nobody is trusted for it.
 */
const FROM_CLIENTS: ReadonlySet<string> = new Set([
  POSITION_HEADER,
  MAX_STALENESS_HEADER,
  ACK_HEADER,
  VIA_HEADER,
])

/**
 * Those of one hop (RFC 9110, section 7.6.1), and `expect`, which Node's server has answered
 * already.
 */
const ONE_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
])
const REWRITTEN: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

/**
 * What no Connection header takes off: the message's frame and address, and what walcast decides
 * by.
 */
const KEPT = [
  'host',
  'content-length',
  'content-type',
  'cookie',
  'authorization',
  'idempotency-key',
  POSITION_HEADER,
  MAX_STALENESS_HEADER,
  ACK_HEADER,
  VIA_HEADER,
]

export type HeaderValue = string | string[]

/** Names and values in turn, as `IncomingMessage.rawHeaders` has them. */
export type FlatHeaders = string[]

export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/**
 * Of a client's request, to whoever answers it; the peer's address is added. What a peer says of
 * others is passed on of a trusted proxy (`isProxied`) and replaced of any other: applications
 * believe these headers.
 */
export function fromClient(
  request: IncomingMessage,
  { isProxied }: Pick<Origin, 'isProxied'>,
): FlatHeaders {
  const passed = pass(
    request,
    (name, isAlias) =>
      !REWRITTEN.has(name) &&
      isPassed(name, FROM_CLIENTS) &&
      ((isProxied && !isAlias) || !isForProxies(name)),
  )
  const address = canonicalAddress(request.socket.remoteAddress ?? '') ?? UNKNOWN_ADDRESS
  const scheme = (request.socket as TLSSocket).encrypted ? 'https' : 'http'
  const targetHost = targetHostOf(request)
  if (targetHost !== undefined) setHost(passed, targetHost)
  const ofProxy = (name: string) => (isProxied ? headerOf(request, name) : undefined)
  const before = ofProxy('x-forwarded-for')
  const host = targetHost ?? request.headers.host ?? ''
  const hop = `for=${quoted(address)}${host ? `;host=${quoted(host)}` : ''};proto=${scheme}`
  const forwarded = ofProxy('forwarded')
  passed.push('x-forwarded-for', before ? `${before}, ${address}` : address)
  passed.push('x-forwarded-proto', ofProxy('x-forwarded-proto') ?? scheme)
  const givenHost = ofProxy('x-forwarded-host') ?? host
  if (givenHost) passed.push('x-forwarded-host', givenHost)
  passed.push('forwarded', forwarded ? `${forwarded}, ${hop}` : hop)
  return passed
}

/**
 * To the leader, in the `incarnation` that is meant. A node answers only to its own name if it has
 * no secret: the client's name for the application goes along, and the client's address as this
 * node sees it.
 */
export function toNode(
  headers: FlatHeaders,
  address: string,
  incarnation: string,
  client: string,
): FlatHeaders {
  const renamed = headers.map((text, i) =>
    i % 2 === 0 && text.toLowerCase() === 'host' ? HOST_HEADER : text,
  )
  return [...renamed, 'host', address, INCARNATION_HEADER, incarnation, CLIENT_HEADER, client]
}

/** The first attempt at a request that may have been executed. */
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

/** For how long the sender lets the request wait; without a word, as long as this node does. */
export function holdOf(request: IncomingMessage): number {
  const text = headerOf(request, HOLD_HEADER) ?? ''
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
}

/**
 * Has the first attempt be so much longer ago: the request waited here before what is remembered is
 * looked at.
 */
export function ageFirstAttempt(request: IncomingMessage, waitedMs: number): void {
  const first = firstAttemptOf(request, waitedMs)
  if (first) request.headers[FIRST_ATTEMPT_HEADER] = formatFirstAttempt(first)
}

/** Of a request that another node forwarded: as that node made it, for the application. */
export function fromNode(request: IncomingMessage): FlatHeaders {
  const host = headerOf(request, HOST_HEADER)
  const passed = pass(
    request,
    (name) => isPassed(name, FROM_CLIENTS) && (host === undefined || name !== 'host'),
  )
  return host === undefined ? passed : [...passed, 'host', host]
}

/**
 * What framing, routing or authorization is decided by, and cookies: no place of theirs is behind
 * the body (RFC 9110, section 6.5.1).
 */
const NO_TRAILERS: ReadonlySet<string> = new Set([
  ...[
    'content-length',
    'content-type',
    'content-encoding',
    'content-range',
    'trailer',
    'host',
    'authorization',
  ],
  ...[
    'cookie',
    'set-cookie',
    'idempotency-key',
    'max-forwards',
    'cache-control',
    'range',
    ...REWRITTEN,
  ],
])

/** Those of a request's body, once that has ended. */
export function trailersOf({ rawTrailers }: IncomingMessage): FlatHeaders {
  const passed: FlatHeaders = []
  for (let i = 0; i < rawTrailers.length; i += 2) {
    const name = rawTrailers[i].toLowerCase()
    if (ONE_HOP.has(name) || NO_TRAILERS.has(name) || !isPassed(name, NONE)) continue
    passed.push(rawTrailers[i], rawTrailers[i + 1])
  }
  return passed
}

const NONE: ReadonlySet<string> = new Set()

function setHost(headers: FlatHeaders, host: string): void {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'host')
  if (at < 0) headers.push('host', host)
  else headers[at + 1] = host
}

/** Whether the request has been passed on by `node` before. */
export function hasPassed(request: IncomingMessage, node: string): boolean {
  return (headerOf(request, VIA_HEADER) ?? '').split(', ').includes(node)
}

/** What an application or a leader answered, for the client. */
export function ofAnswer(
  headers: Readonly<Record<string, HeaderValue | undefined>>,
): Record<string, HeaderValue> {
  const named = namedBy(String(headers['connection'] ?? ''))
  const passed: Record<string, HeaderValue> = {}
  for (const name of Object.keys(headers)) {
    const value = headers[name]
    if (value === undefined || ONE_HOP.has(name) || name.startsWith('walcast-') || named?.has(name))
      continue
    passed[name] = value
  }
  return passed
}

/** What only a proxy in front has to say. */
function isForProxies(name: string): boolean {
  return name === 'x-real-ip' || name.startsWith('x-forwarded-')
}

function isPassed(name: string, own: ReadonlySet<string>): boolean {
  return name !== REPLICA_AUTH_HEADER && (!name.startsWith('walcast-') || own.has(name))
}

/**
 * `isWanted` is asked of a name as an application may read it: CGI, WSGI and PHP make one name of
 * `X_Forwarded_For` (`isAlias`) and `X-Forwarded-For`.
 */
function pass(
  request: IncomingMessage,
  isWanted: (name: string, isAlias: boolean) => boolean,
): FlatHeaders {
  const { rawHeaders } = request
  const named = namedBy(headerOf(request, 'connection') ?? '')
  const passed: FlatHeaders = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase()
    const isAlias = name.includes('_')
    const meant = isAlias ? name.replaceAll('_', '-') : name
    if (ONE_HOP.has(meant) || named?.has(name) || !isWanted(meant, isAlias)) continue
    passed.push(rawHeaders[i], rawHeaders[i + 1])
  }
  return passed
}

/** Headers that a Connection header declares to be of one hop. */
function namedBy(connection: string): ReadonlySet<string> | undefined {
  if (connection === '' || connection === 'keep-alive' || connection === 'close') return undefined
  const names = new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
  for (const kept of KEPT) names.delete(kept)
  return names
}

/** RFC 7239, section 4: IPv6 addresses in brackets, and everything with colons in quotes. */
function quoted(text: string): string {
  if (/^[\w.-]+$/.test(text)) return text
  const bracketed = /^[0-9a-fA-F:]+$/.test(text) && text.split(':').length > 2 ? `[${text}]` : text
  return `"${bracketed.replace(/[\\"]/g, '\\$&')}"`
}
