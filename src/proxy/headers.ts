/**
 * Headers on their way through a node: which are passed on, which are taken off, which are added.
 */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { canonicalAddress } from '../options/network.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import { type Origin, UNKNOWN_ADDRESS } from './clientAddress.ts'
import { targetHostOf } from './requestTarget.ts'

/**
 * On a read: the position that it asks for. On an answer: the position that it is based on.
 * `EPOCH-TXID`.
 */
export const POSITION_HEADER = 'walcast-position'
/** On a read: how old the data may be, such as `250ms`. */
export const MAX_STALENESS_HEADER = 'walcast-max-staleness'
/** On an answer: what this node had not applied by then, a position or a time. */
export const STALE_HEADER = 'walcast-stale'
/** On a request: how many replicas must hold a write before it is answered (see AckLevel). */
export const ACK_HEADER = 'walcast-ack'
/** On an answer: replicas hold the write as asked for, and how many do: `one; replicas=2`. */
export const ACKED_HEADER = 'walcast-acked'
/** On an answer: the write stands, but fewer replicas than asked for are known to hold it. */
export const NOT_REPLICATED_HEADER = 'walcast-not-replicated'
/** On an application's answer: the leader should execute the request instead. `leader`. */
export const REPLAY_HEADER = 'walcast-replay'
/** On a leader's answer: nothing was executed, so the request may be sent again. */
export const NOT_EXECUTED_HEADER = 'walcast-not-executed'
/**
 * On a forwarded request: the incarnation of the leader for which it is meant. Any other refuses
 * it.
 */
export const INCARNATION_HEADER = 'walcast-incarnation'
/**
 * On a forwarded request: how long the leader may keep it, in ms, until its application takes it.
 * 0: a read that the leader must not keep, since the sender tries elsewhere.
 */
export const HOLD_HEADER = 'walcast-hold'
/** On a read that the leader lends to a replica: the position that the answer must be based on. */
export const LENT_HEADER = 'walcast-lent'
/**
 * On a request to the application: the node that passed it on, so that no request goes in a circle.
 */
export const VIA_HEADER = 'walcast-via'
/** Between nodes: the name under which the client asked. */
const HOST_HEADER = 'walcast-host'
/** Between nodes: the client's address, as the node that forwards saw it. */
export const CLIENT_HEADER = 'walcast-client'
/** From a node to an application in its own process: see Passes. */
export const PASS_HEADER = 'walcast-pass'

/**
 * The `walcast-` headers that a client may send. All others are between nodes: they are taken off
 * what a client sends, and count only on the private side, on a request with a valid
 * `X-Replica-Auth`. `walcast-via` is here because a request that goes in a circle comes back as a
 * client's, with the name of each node on its way. No other decision depends on it.
 */
const FROM_CLIENTS: ReadonlySet<string> = new Set([
  POSITION_HEADER,
  MAX_STALENESS_HEADER,
  ACK_HEADER,
  VIA_HEADER,
])

/**
 * Headers of one hop (RFC 9110, section 7.6.1), and `expect`, which Node's server has answered by
 * then.
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
 * Headers that no Connection header takes off: the message's frame and address, and those that
 * walcast decides by.
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
 * The headers of a client's request for the node or application that answers it; the peer's address
 * is added. What the peer says of others is passed on if it is a trusted proxy (`isProxied`), and
 * replaced otherwise: applications believe these headers.
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
 * The same for the leader, meant for this `incarnation`. A node without a secret answers to its own
 * name only, so the client's name for the application has a header of its own. So has the client's
 * address as this node sees it.
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

/** How long the sender lets the request wait; if it does not say, as long as this node does. */
export function holdOf(request: IncomingMessage): number {
  const text = headerOf(request, HOLD_HEADER) ?? ''
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
}

/**
 * The headers of a request that another node forwarded, as that node made them, for the
 * application.
 */
export function fromNode(request: IncomingMessage): FlatHeaders {
  const host = headerOf(request, HOST_HEADER)
  const passed = pass(
    request,
    (name) => isPassed(name, FROM_CLIENTS) && (host === undefined || name !== 'host'),
  )
  return host === undefined ? passed : [...passed, 'host', host]
}

/**
 * Headers that frame, route or authorize a message, and cookies: they must not come behind the body
 * (RFC 9110, section 6.5.1).
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

/** The trailers of a request, once its body has ended. */
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

/** Whether `node` has passed this request on before. */
export function hasPassed(request: IncomingMessage, node: string): boolean {
  return (headerOf(request, VIA_HEADER) ?? '').split(', ').includes(node)
}

/** The headers of an application's or leader's answer, for the client. */
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

/** Headers that only a proxy in front may send. */
function isForProxies(name: string): boolean {
  return name === 'x-real-ip' || name.startsWith('x-forwarded-')
}

function isPassed(name: string, own: ReadonlySet<string>): boolean {
  return name !== REPLICA_AUTH_HEADER && (!name.startsWith('walcast-') || own.has(name))
}

/**
 * `isWanted` gets each name as an application may read it: CGI, WSGI and PHP make one name of
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
