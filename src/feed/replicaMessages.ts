/** What a replica may send to the node that feeds it. */
import { MAX_TEXT_CHARS } from '../../proto/limits.ts'
import type { Body, Message } from '../../proto/messages.ts'
import { isErrorCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { HandshakeHost } from './handshake.ts'

export type ReplicaMessage = Extract<
  Message,
  { type: 'hello' | 'groups' | 'have' | 'below' | 'seen' | 'ack' | 'ping' | 'error' }
>

/**
 * The message as one of a replica for the host's database; `isGreeted` once it has said hello.
 * Throws MESSAGE_BAD, UNKNOWN_DATABASE or CLAIM_REFUSED.
 */
export function requireFromReplica(
  message: Message,
  { db, claims }: Pick<HandshakeHost, 'db' | 'claims'>,
  isGreeted: boolean,
): ReplicaMessage {
  claims.require(message.body)
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
export function errorOf({ code, message: text }: Body<'error'>): WalcastError {
  const message = plainText(text, MAX_TEXT_CHARS)
  return isErrorCode(code)
    ? new WalcastError(code, { message })
    : new WalcastError('INTERNAL', { detail: message })
}

function bad(detail: string): WalcastError {
  return new WalcastError('MESSAGE_BAD', { detail })
}
