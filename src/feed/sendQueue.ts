/** What goes out to one replica: how much waits in its socket, and whether anything moves. */
import type { WebSocket } from 'ws'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

/** WebSocket close code of an error that was told (PROTOCOL.md, Errors and closing). */
const CLOSED_BY_US = 4000
const CLOSE_MS = 1000

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
}

export class SendQueue {
  readonly #socket: WebSocket
  readonly #limits: SendQueueLimits
  readonly #host: SendQueueHost
  #waiting: (() => void)[] = []
  #stallTimer: Timer | undefined
  #takenBytes = 0
  #error: unknown

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

  /** Why the connection ends or has ended, as far as that is known. */
  get error(): unknown {
    return this.#error
  }

  /** The other side said why it closes the connection. */
  onTold(error: WalcastError): void {
    this.#error = error
  }

  /**
   * Writes `last`, which tells the error, and closes the connection with `key` as the reason. Cuts
   * it off when that takes longer than a second.
   */
  end(error: unknown, last: Buffer, key: string): void {
    this.#error = error
    if (this.isOpen) {
      this.write(last)
      this.#socket.close(CLOSED_BY_US, key)
    }
    setTimer(() => this.#socket.terminate(), CLOSE_MS).unref()
  }

  /** Cuts the connection off; `error` is undefined when another connection takes its place. */
  cut(error?: WalcastError): void {
    if (error) this.#error = error
    this.#socket.terminate()
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
      () => this.cut(new WalcastError('STALLED', { seconds: stallMs / 1000 })),
      stallMs,
    )
  }
}
