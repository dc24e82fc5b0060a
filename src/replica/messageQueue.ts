/**
 * Messages that have arrived and are not handled yet. One is handled at a time, in order of
 * arrival. The owner stops reading from the network when the queue is full.
 */
import { decode } from '../../proto/codec.ts'
import type { Message } from '../../proto/messages.ts'
import type { Clock } from '../platform/clock.ts'

export interface MessageHandler {
  readonly clock: Clock
  /**
   * Handles one message. The next one waits for the promise, if there is one. An error closes the
   * connection.
   */
  onMessage(message: Message, receivedMs: number, bytes: Buffer): void | Promise<void>
  /** The leader is alive, and its messages are being handled. */
  onHeard(nowMs: number): void
}

export interface MessageQueueEvents {
  /** A message could not be decoded, or its handler failed. */
  onFailed(error: unknown): void
  /** Messages that had waited were handled, or a hold ended. */
  onDrained(): void
}

interface Waiting {
  readonly data: Buffer
  readonly receivedMs: number
}

export class MessageQueue {
  readonly #maxBytes: number
  readonly #handler: MessageHandler
  readonly #events: MessageQueueEvents
  #waiting: Waiting[] = []
  #bytes = 0
  #isBusy = false
  #handling: Promise<void> = Promise.resolve()
  #holds = 0

  constructor(maxBytes: number, handler: MessageHandler, events: MessageQueueEvents) {
    this.#maxBytes = maxBytes
    this.#handler = handler
    this.#events = events
  }

  /** Bytes of the messages that wait. */
  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** A message is being handled. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** No message waits, none is being handled, and nothing holds the next one back. */
  get isIdle(): boolean {
    return !this.#isBusy && this.#holds === 0 && this.#waiting.length === 0
  }

  /** At most half full: reading may go on. */
  get hasRoom(): boolean {
    return this.#bytes <= this.#maxBytes / 2
  }

  /** Handles the message now, or queues it. Returns false when the queue is full. Hot path. */
  take(data: Buffer, receivedMs: number): boolean {
    if (!this.#isBusy && this.#holds === 0 && this.#waiting.length === 0) {
      this.#handle(data, receivedMs)
      return true
    }
    this.#waiting.push({ data, receivedMs })
    this.#bytes += data.length
    return this.#bytes <= this.#maxBytes
  }

  /** Handles what waits, as far as nothing holds it back. */
  drain(): void {
    while (!this.#isBusy && this.#holds === 0) {
      const next = this.#waiting.shift()
      if (!next) break
      this.#bytes -= next.data.length
      this.#handle(next.data, next.receivedMs)
    }
    this.#events.onDrained()
  }

  /** Holds messages back until the returned function is called. */
  hold(): () => void {
    this.#holds++
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holds--
      this.drain()
    }
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = []
    this.#bytes = 0
  }

  /** Resolves when the message that is being handled has been. */
  handled(): Promise<void> {
    return this.#handling
  }

  #handle(data: Buffer, receivedMs: number): void {
    try {
      this.#handler.onHeard(this.#handler.clock.nowMs())
      const done = this.#handler.onMessage(decode(data), receivedMs, data)
      if (done) this.#wait(done)
    } catch (error) {
      this.#events.onFailed(error)
    }
  }

  #wait(done: Promise<void>): void {
    this.#isBusy = true
    this.#handling = done
      .catch((error) => this.#events.onFailed(error))
      .finally(() => {
        this.#isBusy = false
        this.drain()
      })
  }
}
