/** The connection that is being made for a stream: one at a time, and only the last one counts. */
import { messageOf, WalcastError } from '../errors.ts'
import type { DialStream, StreamDial } from './streamUpgrade.ts'

export interface DialHost {
  /** Undefined in a cluster without a secret: the connection is made with the upgrade. */
  onDialed(dialed: StreamDial | undefined): void
  /** No node of this cluster answers there. PEER_UNPROVEN or LEADER_UNREACHABLE. */
  onFailed(error: WalcastError): void
}

export class StreamDialer {
  readonly #dial: DialStream
  readonly #timeoutMs: number
  #dialing: Promise<StreamDial> | undefined

  constructor(dial: DialStream, timeoutMs: number) {
    this.#dial = dial
    this.#timeoutMs = timeoutMs
  }

  get isDialing(): boolean {
    return this.#dialing !== undefined
  }

  dial(address: string, host: DialHost): void {
    const dialing = this.#dial(address, this.#timeoutMs)
    if (!dialing) return host.onDialed(undefined)
    this.#dialing = dialing
    dialing.then(
      (dialed) => {
        if (this.#end(dialing)) host.onDialed(dialed)
        else dialed.socket.destroy()
      },
      (error) => {
        if (this.#end(dialing)) host.onFailed(unreachable(address, error))
      },
    )
  }

  /** What is being made is closed when it is there. */
  cancel(): void {
    this.#dialing = undefined
  }

  /** Whether it is still the one that counts. */
  #end(dialing: Promise<StreamDial>): boolean {
    if (this.#dialing !== dialing) return false
    this.#dialing = undefined
    return true
  }
}

function unreachable(address: string, error: unknown): WalcastError {
  if (error instanceof WalcastError) return error
  return new WalcastError('LEADER_UNREACHABLE', { address, detail: messageOf(error) }, error)
}
