/** Why no answer came. */
import { messageOf, systemCode } from '../errors.ts'

export interface SendFacts {
  /** False: not a byte of it left this node. True: it may have been executed. */
  readonly wasSent: boolean
  /** The request itself cannot be sent on: bad headers or a bad path. */
  readonly isBadRequest?: boolean
  readonly isTimeout?: boolean
  /** The request met the close of a connection that was used before: a new one may do. */
  readonly wasReused?: boolean
}

export class SendError extends Error {
  override readonly name = 'SendError'
  readonly wasSent: boolean
  readonly isBadRequest: boolean
  readonly isTimeout: boolean
  /**
   * Nothing was sent, because an idle connection had been closed. The request may go over another
   * one at once.
   */
  readonly isStale: boolean

  constructor(cause: Error, { wasSent, isBadRequest, isTimeout, wasReused }: SendFacts) {
    super(messageOf(cause), { cause })
    this.wasSent = wasSent
    this.isBadRequest = isBadRequest ?? false
    this.isTimeout = isTimeout ?? false
    this.isStale = !wasSent && (wasReused ?? false)
  }

  get detail(): string {
    return systemCode(this.cause) || this.message
  }
}
