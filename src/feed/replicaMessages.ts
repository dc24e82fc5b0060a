/** What a replica may send to the node that feeds it. */
import type { Body, Message } from '../../proto/messages.ts'
import { isErrorCode, WalcastError } from '../errors.ts'

export type ReplicaMessage = Extract<
  Message,
  { type: 'hello' | 'groups' | 'have' | 'below' | 'seen' | 'ack' | 'ping' | 'error' }
>

/**
 * The message as one of a replica for the database `db`; `isGreeted` once it has said hello. Throws
 * MESSAGE_BAD or UNKNOWN_DATABASE.
 */
export function requireFromReplica(
  message: Message,
  db: string,
  isGreeted: boolean,
): ReplicaMessage {
  if (message.type !== 'error' && message.body.db !== db)
    throw new WalcastError('UNKNOWN_DATABASE', { db: message.body.db })
  if (!isGreeted && message.type !== 'hello' && message.type !== 'error')
    throw bad(`${message.type} came before hello`)
  switch (message.type) {
    case 'hello':
      if (isGreeted) throw bad('a second hello')
      return message
    case 'below':
      if (message.body.node === '') throw bad('below without a node')
      return message
    case 'groups':
    case 'have':
    case 'seen':
    case 'ack':
    case 'ping':
    case 'error':
      return message
    case 'welcome':
    case 'batch':
    case 'differ':
    case 'pages':
    case 'synced':
    case 'resync':
    case 'heartbeat':
    case 'pong':
    case 'stopping':
    case 'ask':
    case 'incarnation':
    case 'member':
    case 'moved':
    case 'twin':
      throw bad(`a replica does not send ${message.type}`)
  }
}

/** The error that a replica sends before it closes the connection. */
export function errorOf({ code, message }: Body<'error'>): WalcastError {
  return isErrorCode(code)
    ? new WalcastError(code, { message })
    : new WalcastError('INTERNAL', { detail: message })
}

function bad(detail: string): WalcastError {
  return new WalcastError('MESSAGE_BAD', { detail })
}
