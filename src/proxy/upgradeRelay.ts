/**
 * Upgraded connections (WebSockets): passes the request on, and then the bytes of both sides as
 * they come.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { messageOf, WalcastError } from '../errors.ts'
import { httpRequest, httpsRequest } from '../platform/sockets.ts'
import { type ErrorBody, errorBody, retryAfterOf } from './answer.ts'
import {
  type FlatHeaders,
  hasPassed,
  headerOf,
  NOT_EXECUTED_HEADER,
  VIA_HEADER,
} from './headers.ts'
import { interimText } from './relayedAnswer.ts'
import type { WireDial } from './wire.ts'

/** An application answers an upgrade at once or not at all: it computes nothing for it. */
const ANSWER_TIMEOUT_MS = 30_000
/** As for any answer. */
const MAX_HEAD_BYTES = 80 * 1024

export interface UpgradeTarget {
  readonly origin: string
  readonly path: string
  readonly headers: FlatHeaders
  /** This node, if the application is the target: so that no request goes in a circle. */
  readonly node?: string
  /** What the client may be told of an error; everything if not given. */
  readonly bodyOf?: (error: WalcastError) => ErrorBody
  /**
   * The target is a node. It may no longer lead, or be away: the client is not answered then, so
   * that the upgrade can go elsewhere.
   */
  readonly isNode?: boolean
  /** A new connection to that node, which proves itself before the upgrade is sent. */
  readonly dial?: () => WireDial
  /**
   * The client is not answered either when no connection to the target is made: the upgrade waits
   * until one is.
   */
  readonly canWait?: boolean
}

/**
 * Whether to relay an upgrade. Clients offer HTTP/2 (`h2c`) with ordinary requests, and no protocol
 * is bound to a request that is not a GET. Such an offer is not taken up (RFC 9110, section 7.8):
 * see `takeAsRequest`.
 */
export function isRelayed({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && !/\bh2c?\b/i.test(headers.upgrade ?? '')
}

/** Node's server took this request for an upgrade: gives it back without that header. */
export function takeAsRequest(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i].toLowerCase() !== 'upgrade')
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  if (head.length > 0) socket.unshift(head)
  socket.unshift(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
  server.emit('connection', socket)
}

/**
 * Connects the client's socket with the target. Relays the target's answer if that is no upgrade.
 * Resolves once the client is answered, or with why a node did not take the upgrade; nothing was
 * done then.
 */
export function relayUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: UpgradeTarget,
): Promise<string | undefined> {
  const { node } = target
  if (node === undefined || !hasPassed(request, node))
    return new Promise((resolve) => send(request, socket, head, target, resolve))
  refuseUpgrade(socket, new WalcastError('FORWARD_LOOP', { node }), {}, {}, target.bodyOf)
  return Promise.resolve(undefined)
}

function send(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: UpgradeTarget,
  done: (notTaken?: string) => void,
): void {
  const { node, isNode, canWait } = target
  const url = new URL(target.origin)
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  let isConnected = false
  const connect = (_options: unknown, done: (error: Error | null, socket: Duplex) => void) => {
    const dialed = target.dial?.()
    dialed?.ready.then(
      () => {
        isConnected = true
        done(null, dialed.socket)
      },
      (error) => done(error, dialed.socket),
    )
    return undefined
  }
  const headers = [
    ...target.headers,
    ...(node === undefined ? [] : [VIA_HEADER, node]),
    'connection',
    'Upgrade',
    'upgrade',
    request.headers.upgrade ?? 'websocket',
  ]
  const outgoing = open({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    path: target.path,
    method: 'GET',
    headers,
    setHost: !headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host'),
    ...(target.dial ? { createConnection: connect } : { agent: false }),
    maxHeaderSize: MAX_HEAD_BYTES,
    timeout: ANSWER_TIMEOUT_MS,
  })
  let isAnswered = false
  const give = (error: WalcastError) => {
    outgoing.destroy()
    // Half an answer ends here: nothing can be said behind it.
    if (isAnswered) socket.destroy()
    else refuseUpgrade(socket, error, {}, {}, target.bodyOf)
    done()
  }
  const onGone = () => {
    outgoing.destroy()
    done()
  }
  socket.on('error', onGone)
  socket.on('close', onGone)
  /** The upgrade may be sent again: this attempt lets go of it. */
  const leave = (why: string) => {
    socket.off('error', onGone)
    socket.off('close', onGone)
    outgoing.destroy()
    done(why)
  }
  outgoing.on('timeout', () =>
    give(
      isNode
        ? unreachable(target, 'it did not answer an upgrade')
        : new WalcastError('APP_SILENT', { url: target.origin, detail: 'no answer to an upgrade' }),
    ),
  )
  outgoing.on('error', (error) => {
    const detail = messageOf(error)
    // A connection that was not made has carried nothing.
    const isUnmade = target.dial ? !isConnected : 'syscall' in error && error.syscall === 'connect'
    if ((isNode || canWait) && isUnmade) leave(detail)
    else give(unreachable(target, detail))
  })
  outgoing.on('information', (interim) => void socket.write(interimText(interim), 'latin1'))
  outgoing.on('response', (answer) => {
    const notExecuted = isNode ? headerOf(answer, NOT_EXECUTED_HEADER) : undefined
    if (notExecuted !== undefined && notExecuted !== 'FORWARD_REFUSED')
      return leave(`it answered ${notExecuted}`)
    isAnswered = true
    done()
    socket.write(headText(answer, 'close'), 'latin1')
    answer.pipe(socket)
    // Cut off as it was cut off here: only the close tells the client where the answer ends.
    answer.on('close', () => (answer.complete ? socket.end() : socket.destroy()))
  })
  outgoing.on('upgrade', (answer, other, otherHead) => {
    done()
    socket.write(headText(answer, 'Upgrade'), 'latin1')
    join(socket, other, head, otherHead)
  })
  outgoing.end()
}

function unreachable({ origin, isNode }: UpgradeTarget, detail: string): WalcastError {
  if (!isNode) return new WalcastError('APP_UNREACHABLE', { url: origin, detail })
  return new WalcastError('LEADER_UNREACHABLE', { address: new URL(origin).host, detail })
}

/**
 * Answers an upgrade with an error of the catalogue and closes the connection. `added` goes into
 * the body.
 */
export function refuseUpgrade(
  socket: Duplex,
  error: WalcastError,
  added: object = {},
  headers: Readonly<Record<string, string>> = {},
  bodyOf: (error: WalcastError) => ErrorBody = errorBody,
): void {
  if (socket.destroyed || !socket.writable) return void socket.destroy()
  const body = JSON.stringify({ ...bodyOf(error), ...added })
  const head = {
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...retryAfterOf(error),
    ...headers,
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`)
  socket.once('finish', () => socket.destroy())
  socket.end([`HTTP/1.1 ${error.status} Refused`, ...lines, '', body].join('\r\n'))
}

function join(a: Duplex, b: Duplex, toB: Buffer, toA: Buffer): void {
  const end = () => {
    a.destroy()
    b.destroy()
  }
  for (const side of [a, b]) side.on('error', end).on('close', end)
  if (toB.length > 0) b.write(toB)
  if (toA.length > 0) a.write(toA)
  a.pipe(b)
  b.pipe(a)
}

function headText(answer: IncomingMessage, connection: string): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`]
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const name = answer.rawHeaders[i].toLowerCase()
    if (
      ['connection', 'keep-alive', 'transfer-encoding'].includes(name) ||
      name.startsWith('walcast-')
    )
      continue
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`)
  }
  return `${lines.join('\r\n')}\r\nConnection: ${connection}\r\n\r\n`
}
