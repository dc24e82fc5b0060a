/** One request to another node, over a connection of its own. */
import { messageOf } from '../errors.ts'
import type { PeerDialer } from './peerDialer.ts'
import { exchangeOver, type SocketAnswer, type SocketRequest } from './socketExchange.ts'

export interface AnsweredRequest extends SocketAnswer {
  /** 64 hex digits of the TLS key that serves the connection; '' in plain text. */
  readonly fingerprint: string
}

/** Rejects with NotConnected when nothing was sent. `connectMs`: the longest time to connect. */
export type RequestPeer = (
  address: string,
  request: SocketRequest,
  connectMs: number,
) => Promise<AnsweredRequest>

/** No connection was made, or who is there did not prove to be a node. */
export class NotConnected extends Error {}

export function requestOver(dialer: PeerDialer): RequestPeer {
  return async (address, request, connectMs) => {
    const { socket, ready } = dialer.dial(address, connectMs, false)
    const { fingerprint } = await ready.catch((error) => {
      throw new NotConnected(messageOf(error), { cause: error })
    })
    try {
      return { ...(await exchangeOver(socket, request)), fingerprint }
    } finally {
      socket.destroy()
    }
  }
}
