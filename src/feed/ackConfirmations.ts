/**
 * Waits until a replica says that it stands at exactly one position, with its state checksum. A
 * replica has one such wait at most.
 */
import type { Body } from '../../proto/messages.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'

export interface Confirmed {
  readonly epoch: number
  readonly txid: number
  /** 16 hex digits. */
  readonly checksum: string
}

interface Confirmation {
  readonly position: Confirmed
  readonly end: (isConfirmed: boolean) => void
}

export class AckConfirmations {
  readonly #under = new Map<string, Confirmation>()

  /**
   * Resolves at the first acknowledgement from that position on, or after `timeoutMs` with false.
   */
  begin(node: string, position: Confirmed, timeoutMs: number): Promise<boolean> {
    this.fail(node)
    return new Promise((resolve) => {
      const timer = setTimer(() => confirmation.end(false), timeoutMs)
      const confirmation: Confirmation = {
        position,
        end: (isConfirmed) => {
          cancelTimer(timer)
          if (this.#under.get(node) === confirmation) this.#under.delete(node)
          resolve(isConfirmed)
        },
      }
      this.#under.set(node, confirmation)
    })
  }

  onAck(
    node: string,
    { epoch, txid, checksum }: Pick<Body<'ack'>, 'epoch' | 'txid' | 'checksum'>,
  ): void {
    const confirmation = this.#under.get(node)
    if (!confirmation) return
    const { position } = confirmation
    if (epoch === position.epoch && txid < position.txid) return
    confirmation.end(
      epoch === position.epoch && txid === position.txid && checksum === position.checksum,
    )
  }

  fail(node: string): void {
    this.#under.get(node)?.end(false)
  }

  failAll(): void {
    for (const confirmation of [...this.#under.values()]) confirmation.end(false)
  }
}
