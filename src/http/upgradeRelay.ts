/** Upgraded connections (WebSockets): the request is passed on, then both sides' bytes as they come. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { messageOf, WalcastError } from '../errors.ts'
import { errorBody } from './answer.ts'
import type { FlatHeaders } from './headers.ts'

const ANSWER_TIMEOUT_MS = 30_000

/** Connects the client's socket with `origin`. Answers with what the other side answers when that is no upgrade. */
export function relayUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  target: { readonly origin: string; readonly path: string; readonly headers: FlatHeaders },
): void {
  const url = new URL(target.origin)
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const headers = [
    ...target.headers,
    'connection',
    'Upgrade',
    'upgrade',
    request.headers.upgrade ?? 'websocket',
  ]
  const outgoing = send({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    path: target.path,
    method: 'GET',
    headers,
    setHost: !headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host'),
    agent: false,
    timeout: ANSWER_TIMEOUT_MS,
  })
  const give = (error: WalcastError) => {
    outgoing.destroy()
    refuseUpgrade(socket, error)
  }
  socket.on('error', () => outgoing.destroy())
  socket.on('close', () => outgoing.destroy())
  outgoing.on('timeout', () =>
    give(new WalcastError('APP_SILENT', { url: target.origin, detail: 'no answer to an upgrade' })),
  )
  outgoing.on('error', (error) =>
    give(new WalcastError('APP_UNREACHABLE', { url: target.origin, detail: messageOf(error) }, error)),
  )
  outgoing.on('response', (answer) => {
    socket.write(headText(answer, 'close'))
    answer.pipe(socket)
  })
  outgoing.on('upgrade', (answer, other, otherHead) => {
    socket.write(headText(answer, 'Upgrade'))
    join(socket, other, head, otherHead)
  })
  outgoing.end()
}

/** Answers an upgrade with an error of the catalogue and closes. `added` goes into its body. */
export function refuseUpgrade(socket: Duplex, error: WalcastError, added: object = {}): void {
  if (socket.destroyed || !socket.writable) return void socket.destroy()
  const body = JSON.stringify({ ...errorBody(error), ...added })
  socket.once('finish', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${error.status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
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
    if (['connection', 'keep-alive', 'transfer-encoding'].includes(name)) continue
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`)
  }
  return `${lines.join('\r\n')}\r\nConnection: ${connection}\r\n\r\n`
}
