/**
 * Open streams of server-sent events (WHATWG HTML, section 9.2), of all kinds together: a bound on
 * their number, signs of life on quiet ones, and an end for those that nobody reads or that would
 * no longer be let in.
 */
import type { ServerResponse } from 'node:http'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setRepeatingTimer, type Timer } from '../platform/time.ts'

export interface EventStreamsOptions {
  readonly maxListeners: number
  /** Pause between two comments on a quiet stream: neither side must take it for dead. */
  readonly keepAliveMs: number
}

/** A listener that leaves more bytes unread is cut off. */
const MAX_UNREAD_BYTES = 64 * 1024

export interface EventStream {
  /** Ends the stream when its listener would no longer be let in. */
  checkAccess(): boolean
  send(event: string, data: string): void
}

export class EventStreams {
  readonly #options: EventStreamsOptions
  readonly #streams = new Map<ServerResponse, () => boolean>()
  #timer: Timer | undefined

  constructor(options: EventStreamsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#streams.size
  }

  /**
   * Undefined for a client that has gone by now. `onEnd`: once, whoever ends it. `maxUnreadBytes`:
   * past it the stream ends. Throws TOO_MANY_EVENT_STREAMS.
   */
  open(
    response: ServerResponse,
    isStillIn: () => boolean,
    onEnd: () => void,
    maxUnreadBytes = MAX_UNREAD_BYTES,
  ): EventStream | undefined {
    const { maxListeners, keepAliveMs } = this.#options
    if (response.destroyed) return undefined
    if (this.#streams.size >= maxListeners)
      throw new WalcastError('TOO_MANY_EVENT_STREAMS', { limit: maxListeners })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    this.#streams.set(response, isStillIn)
    this.#timer ??= setRepeatingTimer(() => this.#keepAlive(), keepAliveMs)
    response.once('close', () => {
      this.#remove(response)
      onEnd()
    })
    return {
      checkAccess() {
        if (isStillIn()) return true
        response.destroy()
        return false
      },
      send(event, data) {
        if (response.writableEnded || response.destroyed) return
        if (response.writableLength > maxUnreadBytes) return void response.destroy()
        response.write(`event: ${event}\ndata: ${data}\n\n`)
      },
    }
  }

  close(): void {
    for (const response of this.#streams.keys()) response.end()
  }

  #keepAlive(): void {
    for (const [response, isStillIn] of this.#streams)
      if (!isStillIn()) response.destroy()
      else if (!response.writableEnded) response.write(':\n\n')
  }

  #remove(response: ServerResponse): void {
    this.#streams.delete(response)
    if (this.#streams.size > 0) return
    cancelTimer(this.#timer)
    this.#timer = undefined
  }
}
