/** What goes out to one replica: how much waits in its socket, and whether anything moves. */
import type { WebSocket } from 'ws'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

export interface SendQueueLimits {
  /** Bytes handed to the socket and not yet taken by the network. */
  readonly maxBufferedBytes: number
  /** A connection that takes nothing for so long while something waits for it is closed. */
  readonly stallMs: number
}

export interface SendQueueHost {
  onSent(bytes: number): void
  /** There is room again. */
  onRoom(): void
  onStalled(error: WalcastError): void
}

export class SendQueue {
  readonly #socket: WebSocket
  readonly #limits: SendQueueLimits
  readonly #host: SendQueueHost
  #waiting: (() => void)[] = []
  #stallTimer: Timer | undefined
  #takenBytes = 0

  constructor(socket: WebSocket, limits: SendQueueLimits, host: SendQueueHost) {
    this.#socket = socket
    this.#limits = limits
    this.#host = host
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** Messages that the network has taken, all along. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedAmount <= this.#limits.maxBufferedBytes
  }

  /** `onTaken` is called when the network has taken the message, which may be used again then. */
  write(message: Buffer, onTaken: () => void = () => {}): void {
    if (!this.isOpen) return
    this.#socket.send(message, { binary: true, compress: false }, () => {
      this.#takenBytes += message.length
      onTaken()
      this.#onWritten()
    })
    this.#host.onSent(message.length)
    this.#watch()
  }

  /** Writes and waits until there is room again. Throws STOPPING when the connection is closed. */
  async writeAndWait(message: Buffer, onTaken: () => void): Promise<void> {
    this.write(message, onTaken)
    while (!this.hasRoom && this.isOpen)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (!this.isOpen) throw new WalcastError('STOPPING')
  }

  closed(): void {
    cancelTimer(this.#stallTimer)
    this.#release()
  }

  #onWritten(): void {
    cancelTimer(this.#stallTimer)
    this.#stallTimer = undefined
    if (this.#socket.bufferedAmount > 0) this.#watch()
    if (this.#socket.bufferedAmount > this.#limits.maxBufferedBytes / 2) return
    this.#release()
    this.#host.onRoom()
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #watch(): void {
    const { stallMs } = this.#limits
    this.#stallTimer ??= setTimer(
      () => this.#host.onStalled(new WalcastError('STALLED', { seconds: stallMs / 1000 })),
      stallMs,
    )
  }
}
