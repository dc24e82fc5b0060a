/** A client's request at a node, and whether the client is still there. */
import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { monotonicMs } from '../platform/time.ts'
import { NO_ORIGIN, type Origin } from './clientAddress.ts'
import type { Exchange } from './exchange.ts'
import { relayInterim } from './relayedAnswer.ts'
import { targetOf } from './requestTarget.ts'

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Whether the client may still be sending. An answer now has to close the connection, or the rest
 * of this request would be taken for the next one.
 */
export function isSending(request: IncomingMessage): boolean {
  return !request.complete && hasBody(request)
}

/** Calls `then` once the answer is over; at once if it already is. */
export function whenOver(response: ServerResponse, then: () => void): void {
  if (response.writableFinished || response.destroyed) then()
  else response.once('close', then)
}

/** Responses that wait for their turn, by connection. */
const queued = new WeakMap<Socket, Set<ServerResponse>>()

/**
 * Node tells the close of a connection only to the response whose turn it is. This tells it to the
 * responses of pipelined requests behind that one as well; what waits for their close would wait
 * forever. Call it for each request as it comes.
 */
export function tellClose({ socket }: IncomingMessage, response: ServerResponse): void {
  if (response.socket) return
  let responses = queued.get(socket)
  if (!responses) {
    const all = new Set<ServerResponse>()
    responses = all
    queued.set(socket, all)
    socket.once('close', () => {
      for (const one of all) one.destroy().emit('close')
    })
  }
  const waiting = responses
  waiting.add(response)
  response.once('close', () => waiting.delete(response))
}

/** Responses whose clients still sent when they were given up: see `giveUp`. */
const givenUp = new WeakSet<ServerResponse>()

/**
 * The rest of the request never comes. Once the answer is out nothing works for this request any
 * more: neither an application that waits for the body, nor a part of this node that holds the
 * request back.
 */
export function giveUp(response: ServerResponse): void {
  givenUp.add(response)
  response.once('finish', () => response.req.destroy())
}

/**
 * A request or an upgrade that waits for a leader or an application. It may wait in several places;
 * the time counts once.
 */
export interface Held {
  /** Aborted when the client went away before its answer was whole. */
  readonly gone: AbortSignal
  readonly isGone: boolean
  /** Until when it may wait, by `monotonicMs()`: `holdMs` after this is first asked. */
  heldUntilMs(holdMs: number): number
}

export class Client implements Held {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Who sent it: its address, and whether it came over TLS. */
  readonly origin: Origin
  /** Made on demand: most requests never need it. */
  #gone: AbortController | undefined
  #isGone = false
  #heldUntilMs: number | undefined
  #exchange: Exchange | undefined

  constructor(request: IncomingMessage, response: ServerResponse, origin = NO_ORIGIN) {
    this.request = request
    this.origin = origin
    this.response = response
    response.once('close', () => this.#onClose())
  }

  get method(): string {
    return this.request.method ?? 'GET'
  }

  get target(): string {
    return targetOf(this.request)
  }

  get hasBody(): boolean {
    return hasBody(this.request)
  }

  get gone(): AbortSignal {
    this.#gone ??= new AbortController()
    if (this.#isGone) this.#gone.abort()
    return this.#gone.signal
  }

  get isGone(): boolean {
    return this.#isGone
  }

  heldUntilMs(holdMs: number): number {
    this.#heldUntilMs ??= monotonicMs() + holdMs
    return this.#heldUntilMs
  }

  /** An answer before the answer (1xx). */
  inform(interim: InformationEvent): void {
    relayInterim(this.response, interim)
  }

  /** The exchange that is under way for this client; it is given up when the client leaves. */
  follow(exchange: Exchange | undefined): void {
    this.#exchange = exchange
    if (this.isGone) exchange?.abort(new Error('the client went away'))
  }

  #onClose(): void {
    if (this.response.writableFinished && !givenUp.has(this.response)) return
    this.#isGone = true
    this.#gone?.abort()
    this.#exchange?.abort(new Error('the client went away'))
  }
}
