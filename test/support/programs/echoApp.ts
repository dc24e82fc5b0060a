/**
 * An application under test that answers what it received, or what the header `x-answer` asks for.
 * It counts what reaches it. Asked directly, `/!state` gives the counts and `/!go` lets one waiting
 * answer go on.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { optionsOf, say } from './options.ts'

/** The JSON in `x-answer`, in base64url. */
export interface AnswerSpec {
  readonly status?: number
  readonly reason?: string
  /** Names and values in turn. */
  readonly headers?: readonly string[]
  readonly body?: string
  /** Written one by one, each but the first after a `/!go`. */
  readonly parts?: readonly string[]
  /** The length of a generated body, in place of `body`. */
  readonly bytes?: number
  readonly trailers?: Readonly<Record<string, string>>
  /** Bytes for the socket instead of an answer, latin1; then it is closed. */
  readonly raw?: string
  /** The length of a header `x-large`, in bytes. */
  readonly headBytes?: number
  /** Bytes for the socket before anything else, latin1. */
  readonly interim?: string
  /** Wait for a `/!go` before anything is answered. */
  readonly waits?: boolean
  /** Send the head before the body is read. */
  readonly headFirst?: boolean
  /** Do not read the body. */
  readonly early?: boolean
  /** Only the application of this name answers so; others echo. */
  readonly at?: string
  /** How many times the connection is cut at this path before an answer. */
  readonly cuts?: number
}

/** What reached the application. */
export interface Echo {
  readonly app: string
  readonly method: string
  readonly url: string
  readonly version: string
  readonly rawHeaders: readonly string[]
  readonly bytes: number
  readonly sha256: string
  readonly rawTrailers: readonly string[]
}

export interface AppState {
  /** Requests by `METHOD TARGET`. */
  readonly seen: Readonly<Record<string, number>>
  readonly total: number
  /** Targets of requests that were cut before their answer was complete. */
  readonly aborted: readonly string[]
  readonly waiting: number
}

const { port, name } = optionsOf<{ port: number; name: string }>()
const seen: Record<string, number> = {}
const aborted: string[] = []
const waiting: (() => void)[] = []
let total = 0

function countOf(request: IncomingMessage): number {
  const key = `${request.method} ${request.url}`
  seen[key] = (seen[key] ?? 0) + 1
  total++
  return seen[key]
}

function specOf(request: IncomingMessage): AnswerSpec {
  const given = request.headers['x-answer']
  if (given === undefined) return {}
  const spec: AnswerSpec = JSON.parse(Buffer.from(String(given), 'base64url').toString())
  return spec.at === undefined || spec.at === name ? spec : {}
}

/** Resolves at a `/!go`, or when the client has left. */
function go(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    waiting.push(resolve)
    response.once('close', () => {
      const at = waiting.indexOf(resolve)
      if (at >= 0) waiting.splice(at, 1)
      resolve()
    })
  })
}

function echoOf(request: IncomingMessage, bytes: number, sha256: string): Echo {
  const { method = '', url = '', httpVersion: version, rawHeaders, rawTrailers } = request
  return { app: name, method, url, version, rawHeaders, bytes, sha256, rawTrailers }
}

async function readBody(request: IncomingMessage): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of request) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeMany(response: ServerResponse, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'w')
  for (let left = bytes; left > 0 && !response.destroyed; left -= chunk.length) {
    if (!response.write(chunk.subarray(0, Math.min(left, chunk.length))))
      await new Promise<void>((resolve) => {
        response.once('drain', resolve)
        response.once('close', resolve)
      })
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const count = countOf(request)
  response.on('close', () => {
    if (!response.writableFinished) aborted.push(request.url ?? '')
  })
  const spec = specOf(request)
  const { status = 200, reason, headers = [], body, parts = [], bytes, trailers, raw } = spec
  if (spec.headFirst) {
    response.writeHead(status, [...headers])
    response.flushHeaders()
  }
  if (spec.headBytes !== undefined) response.setHeader('x-large', 'a'.repeat(spec.headBytes))
  const { bytes: received, sha256 } = spec.early
    ? { bytes: 0, sha256: '' }
    : await readBody(request)
  if (count <= (spec.cuts ?? 0)) return void request.socket.destroy()
  if (spec.interim !== undefined) request.socket.write(spec.interim, 'latin1')
  if (spec.waits) await go(response)
  if (raw !== undefined) return void request.socket.end(raw, 'latin1')
  if (!spec.headFirst) {
    if (reason === undefined) response.writeHead(status, [...headers])
    else response.writeHead(status, reason, [...headers])
  }
  for (const [i, part] of parts.entries()) {
    if (i > 0) await go(response)
    response.write(part)
  }
  if (bytes !== undefined) await writeMany(response, bytes)
  if (trailers) response.addTrailers(trailers)
  const isPlain = body === undefined && parts.length === 0 && bytes === undefined && status === 200
  response.end(isPlain ? JSON.stringify(echoOf(request, received, sha256)) : body)
}

const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
  if (request.url === '/!state')
    return void response.end(JSON.stringify({ seen, total, aborted, waiting: waiting.length }))
  if (request.url === '/!go') {
    waiting.shift()?.()
    return void response.end()
  }
  answer(request, response).catch(() => response.destroy())
})
server.maxHeadersCount = 0
const webSockets = new WebSocketServer({ noServer: true })
server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
  countOf(request)
  const { raw } = specOf(request)
  if (raw !== undefined) return void socket.end(raw, 'latin1')
  if (request.headers.upgrade !== 'websocket')
    return void socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n')
  webSockets.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
    webSocket.send(JSON.stringify(echoOf(request, 0, '')))
    webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
  })
})
server.listen(port, '127.0.0.1', () => say({ port }))
