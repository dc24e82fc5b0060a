/**
 * Closes a connection while its client still sends, in stages (RFC 9112, section 9.6). Closed at
 * once, the system would answer the next bytes with a reset, and the client would lose the answer
 * before it has read it.
 */
import type { ServerResponse } from 'node:http'
import { cancelTimer, setTimer } from '../platform/time.ts'

/** How long the bytes that the client sends are read and thrown away. */
const LINGER_MS = 2000

/** Call it before the head of an answer that says `Connection: close`. */
export function closeInStages({ req: { socket } }: ServerResponse): void {
  // Node's server calls this when the answer is written, to close at once.
  socket.destroySoon = () => {
    // What comes now is no request, and the parser must not find one in it.
    socket.removeAllListeners('data')
    socket.on('data', () => {})
    socket.resume()
    socket.end()
    const timer = setTimer(() => socket.destroy(), LINGER_MS).unref()
    socket.once('end', () => socket.destroy())
    socket.once('close', () => cancelTimer(timer))
  }
}
