/**
 * What makes connections and listens for them: TCP, TLS, HTTP, WebSocket. A simulation puts
 * WebSockets and requests of its own in place of the system's (`replaceSockets`).
 */
import { Agent as SystemAgent, request as systemRequest } from 'undici'
import { WebSocket as SystemWebSocket } from 'ws'

export { createServer as createHttpServer, request as httpRequest } from 'node:http'
export { request as httpsRequest } from 'node:https'
export {
  connect as connectTcp,
  createServer as createTcpServer,
  Server as TcpServer,
} from 'node:net'
export { connect as connectTls } from 'node:tls'
export { fetch } from 'undici'
export { WebSocketServer } from 'ws'

export interface SocketSource {
  readonly Agent: typeof SystemAgent
  readonly request: typeof systemRequest
  readonly WebSocket: typeof SystemWebSocket
}

export type WebSocket = SystemWebSocket
/** Live bindings, as those of `files.ts` are. */
export let Agent = SystemAgent
export let request = systemRequest
export let WebSocket = SystemWebSocket

/**
 * Puts others in place of the system's for this whole thread, until the function that it gives is
 * called.
 */
export function replaceSockets(other: SocketSource): () => void {
  ;({ Agent, request, WebSocket } = other)
  return () => {
    Agent = SystemAgent
    request = systemRequest
    WebSocket = SystemWebSocket
  }
}
