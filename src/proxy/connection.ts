/**
 * One connection of an HTTP server, and what it waits for. Only a client that owes something is
 * slow. A client that waits for the application is never slow; nor is one whose body the
 * application does not take.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { WalcastError } from '../errors.ts'
import { isSending } from './client.ts'

/** What a client has to do next: send a request, go on with a body, or read what was sent to it. */
export type Debt = 'request' | 'body' | 'read'

/**
 * Fewer bytes are no progress while others wait for room: a client may send or read them one by
 * one.
 */
const STEADY_BYTES = 512

/**
 * The queue of a socket below Node's own. It moves while one large write goes out piece by piece.
 */
interface WithHandle {
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

export class Connection {
  /** What HTTP reads: with TLS, the decrypted side from the end of the handshake on. */
  socket: Socket
  /** The client that it is counted under; undefined for a trusted proxy. */
  readonly client: string | undefined
  /** Why nothing but health is answered here; undefined within the bounds. */
  limit: WalcastError | undefined
  /** Requests under way. */
  requests = 0
  /** Requests that ever came: a busy connection may happen to be idle at each look. */
  arrived = 0
  isUpgraded = false
  /** The id of the node that has proven itself here. */
  owner: string | undefined
  /** The answer to the last request, while it is under way. */
  response: ServerResponse | undefined
  #debt: Debt | undefined = 'request'
  #bytes = 0
  #steadyBytes = 0
  /** When something last moved. */
  movedMs: number
  /** When enough moved last: see `STEADY_BYTES`. */
  steadyMs: number

  constructor(
    socket: Socket,
    client: string | undefined,
    nowMs: number,
    limit: WalcastError | undefined,
  ) {
    this.socket = socket
    this.client = client
    this.limit = limit
    this.movedMs = nowMs
    this.steadyMs = nowMs
  }

  /** What the client owed at the last look. */
  get debt(): Debt | undefined {
    return this.#debt
  }

  /** Looks what the client owes now, and notes since when it owes that without moving. */
  look(nowMs: number): Debt | undefined {
    const debt = this.#debtNow()
    const bytes = this.#bytesOf(debt)
    if (debt !== this.#debt) this.movedMs = this.steadyMs = nowMs
    else if (bytes !== this.#bytes) this.movedMs = nowMs
    if (debt !== this.#debt || Math.abs(bytes - this.#steadyBytes) >= STEADY_BYTES) {
      this.steadyMs = nowMs
      this.#steadyBytes = bytes
    }
    this.#debt = debt
    this.#bytes = bytes
    return debt
  }

  #debtNow(): Debt | undefined {
    if (this.socket.writableLength > 0) return 'read'
    if (this.isUpgraded) return undefined
    if (this.requests === 0) return 'request'
    const request = this.response?.req
    if (!request || !isSending(request)) return undefined
    // The buffer is full: the client has sent more than is taken.
    return request.readableLength < request.readableHighWaterMark ? 'body' : undefined
  }

  #bytesOf(debt: Debt | undefined): number {
    const { socket } = this
    if (debt === 'body') return socket.bytesRead
    // A head that comes byte by byte is no progress: heads have a time-out of their own.
    if (debt !== 'read') return this.arrived * STEADY_BYTES
    const queued = (socket as WithHandle)._handle?.writeQueueSize ?? 0
    return socket.bytesWritten - socket.writableLength - queued
  }
}
