/** Tells one replica where the leader stands, at each heartbeat and when the replica asks. */
import { encode } from '../../proto/codec.ts'
import type { Body } from '../../proto/messages.ts'
import type { SendQueue } from './sendQueue.ts'

export interface HeartbeatSenderHost {
  readonly db: string
  /** The leader's clock, as far as it is known here. */
  leaderMs(): number
  heartbeat(): Body<'heartbeat'>
  /** A replica wants to know where the leader stands. */
  onPing(): void
}

export class HeartbeatSender {
  readonly #outbox: SendQueue
  readonly #host: HeartbeatSenderHost
  #isWaiting = false
  /** The network has not taken the last heartbeat. */
  #isSending = false

  constructor(outbox: SendQueue, host: HeartbeatSenderHost) {
    this.#outbox = outbox
    this.#host = host
  }

  /** The replica asked where the leader stands, and the answer may be older than the question. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /**
   * While batches leave no room, one heartbeat waits at a time: a replica on a slow link still
   * hears how far it is behind.
   */
  send(body: Body<'heartbeat'>): void {
    this.#isWaiting = false
    if (this.#isSending && !this.#outbox.hasRoom) return
    this.#isSending = true
    this.#outbox.write(encode('heartbeat', body), () => {
      this.#isSending = false
    })
  }

  /**
   * Answers a ping with the clock and with where the leader stands: a replica that asks may want to
   * know that it misses nothing. Without an answer it cannot tell how old heartbeats are, so one
   * waits while batches leave no room.
   */
  onPing(pingMs: number): void {
    if (this.#isSending && !this.#outbox.hasRoom) return
    const { db } = this.#host
    this.#outbox.write(encode('pong', { db, pingMs, timeMs: this.#host.leaderMs() }))
    this.send(this.#host.heartbeat())
    this.#isWaiting = true
    this.#host.onPing()
  }
}
