/** One HTTP request over a connection that is already made, and its whole answer. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { httpRequest } from '../platform/sockets.ts'

export interface SocketRequest {
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** The longest answer that is read. */
  readonly maxBytes: number
  /** Gives up, and closes the connection. */
  readonly signal?: AbortSignal
}

export interface SocketAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

const MAX_HEAD_BYTES = 16 * 1024

/** An answer is longer than the asker wants to read. */
export class AnswerTooLong extends Error {
  override readonly message = 'its answer is too long'
}

/**
 * Resolves once the whole answer is here. The connection is free for another request then. Rejects
 * when it breaks, or the answer is no HTTP.
 */
export function exchangeOver(socket: Socket, request: SocketRequest): Promise<SocketAnswer> {
  const { method, path, headers, body, maxBytes, signal } = request
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      method,
      path,
      headers: { ...headers, connection: 'keep-alive' },
      maxHeaderSize: MAX_HEAD_BYTES,
      createConnection: () => socket,
      ...(signal ? { signal } : {}),
    })
    outgoing.shouldKeepAlive = true
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= maxBytes) return void chunks.push(chunk)
        reject(new AnswerTooLong())
        // Without the error: a socket whose answer is whole no longer has anyone to tell.
        socket.destroy()
      })
      outgoing.on('close', () => {
        const { statusCode: status = 0, headers: answered, complete } = response
        if (complete) resolve({ status, headers: answered, body: Buffer.concat(chunks) })
        else reject(new Error('its answer broke off'))
      })
    })
    outgoing.end(body)
  })
}
