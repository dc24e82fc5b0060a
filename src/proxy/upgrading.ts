/**
 * A client that waits for its upgrade. Node reads nothing from its connection by then, and the end
 * of that would stay unseen: it is looked for while the client waits. What the client sends is left
 * for whoever takes the upgrade.
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

  /** To be called for each wait; nobody else reads from the connection meanwhile. */
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
