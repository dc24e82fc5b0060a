/**
 * A client that waits for its upgrade. Node no longer reads from the connection by then, so its end
 * would stay unseen. This looks for the end while the client waits. It leaves what the client sends
 * to the application that takes the upgrade.
 */
import type { Socket } from 'node:net'
import { monotonicMs } from '../platform/time.ts'
import type { Held } from './client.ts'

export class Upgrading implements Held {
  readonly #socket: Socket
  readonly #gone = new AbortController()
  #heldUntilMs: number | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.once('close', () => this.#gone.abort())
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get isGone(): boolean {
    return this.gone.aborted
  }

  heldUntilMs(holdMs: number): number {
    this.#heldUntilMs ??= monotonicMs() + holdMs
    return this.#heldUntilMs
  }

  /** Call it for each wait; nothing else may read from the connection meanwhile. */
  async waitFor<T>(wait: Promise<T>): Promise<T> {
    const socket = this.#socket
    const look = () => {
      if (socket.readableLength === 0) socket.read()
    }
    const onEnd = () => void socket.destroy()
    socket.on('readable', look).on('end', onEnd)
    try {
      return await wait
    } finally {
      socket.off('readable', look).off('end', onEnd)
    }
  }
}
