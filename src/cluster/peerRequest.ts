/** One request to another node, over a connection of its own. */
import type { Socket } from 'node:net'
import { messageOf } from '../errors.ts'
import { TLS_WANTED_STATUS, TlsWanted } from './connectionProof.ts'
import type { PeerDialer } from './peerDialer.ts'
import { exchangeOver, type SocketAnswer, type SocketRequest } from './socketExchange.ts'

export interface AnsweredRequest extends SocketAnswer {
  /** 64 hex digits of the TLS key that serves the connection; '' in plain text. */
  readonly fingerprint: string
  /** Id of the node whose key that is; absent when the key is not known. */
  readonly keyOwner?: string
  /** Whether a node of the version before keys is there. */
  readonly isOld?: boolean
}

export interface PeerRequest extends SocketRequest {
  /** In place of `headers`, for a node of the version before keys. */
  readonly oldHeaders?: Readonly<Record<string, string>>
}

/**
 * Rejects with NotConnected when nothing was sent. `connectMs`: the longest time to connect. `to`:
 * the node that has to prove itself before it is sent anything; undefined: whoever is there.
 */
export type RequestPeer = (
  address: string,
  request: PeerRequest,
  connectMs: number,
  to: string | undefined,
) => Promise<AnsweredRequest>

/** Code of NotConnected. */
export const NOT_CONNECTED = 'NOT_CONNECTED'

/** No connection was made, or who is there did not prove to be a node. */
export class NotConnected extends Error {
  readonly code = NOT_CONNECTED
}

export function requestOver(dialer: PeerDialer): RequestPeer {
  const ask: RequestPeer = async (address, request, connectMs, to) => {
    const { socket, ready } = dialer.dial(address, connectMs, to !== undefined)
    const {
      fingerprint,
      node,
      isOld = false,
    } = await ready.catch((error) => {
      throw new NotConnected(messageOf(error), { cause: error })
    })
    try {
      if (isOld) return { ...(await askOld(socket, request)), fingerprint, isOld }
      if (to !== undefined && node !== to)
        throw new NotConnected(`node ${node} is there, not ${to}`)
      const answer = await exchangeOver(socket, request)
      if (answer.status === TLS_WANTED_STATUS && fingerprint === '') throw new TlsWanted()
      return { ...answer, fingerprint, ...(node === '' ? {} : { keyOwner: node }) }
    } finally {
      socket.destroy()
    }
  }
  return async (address, request, connectMs, to) => {
    try {
      return await ask(address, request, connectMs, to)
    } catch (error) {
      // It took plain text before. Nothing was done for what was asked.
      const { cause } = error instanceof NotConnected ? error : { cause: error }
      if (dialer.isOpen || !(cause instanceof TlsWanted)) throw error
      dialer.onTransportTold(address, false)
      return ask(address, request, connectMs, to)
    }
  }
}

/** Its version takes no body from another node, and would not check one. */
async function askOld(
  socket: Socket,
  { oldHeaders, headers, ...request }: PeerRequest,
): Promise<SocketAnswer> {
  if (request.body !== undefined) throw new NotConnected('a node of an older version is there')
  return exchangeOver(socket, { ...request, headers: oldHeaders ?? headers })
}
