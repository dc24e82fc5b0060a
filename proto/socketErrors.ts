import { messageOf, systemCode, WalcastError } from '../src/errors.ts'
import { MAX_MESSAGE_BYTES } from './limits.ts'

/**
 * The catalogue's error for what the WebSocket library refuses by itself: a frame that is too long
 * or ill-formed. Undefined for anything else, such as a connection that was reset. Codes: ws,
 * doc/ws.md, "Error codes".
 */
export function refusedFrame(error: unknown): WalcastError | undefined {
  const code = systemCode(error)
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return new WalcastError('MESSAGE_TOO_LARGE', { bytes: 'more', limit: MAX_MESSAGE_BYTES }, error)
  }
  if (code.startsWith('WS_ERR_'))
    return new WalcastError('MESSAGE_BAD', { detail: messageOf(error) }, error)
  return undefined
}
