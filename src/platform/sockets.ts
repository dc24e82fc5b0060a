/**
 * What makes connections and listens for them: TCP, TLS, HTTP, WebSocket. A simulation puts
 * WebSockets of its own in place of the system's (`replaceWebSocket`).
 */
import { WebSocket as SystemWebSocket } from 'ws'

export { createServer as createHttpServer, request as httpRequest } from 'node:http'
export { request as httpsRequest } from 'node:https'
export {
  connect as connectTcp,
  createServer as createTcpServer,
  Server as TcpServer,
} from 'node:net'
export {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
} from 'node:tls'
export { Agent, fetch, request } from 'undici'
export { WebSocketServer } from 'ws'

export type WebSocket = SystemWebSocket
/** A live binding, as those of `files.ts` are. */
export let WebSocket = SystemWebSocket

/**
 * Puts another class in place of the system's for this whole thread, until the function that it
 * gives is called.
 */
export function replaceWebSocket(other: typeof SystemWebSocket): () => void {
  WebSocket = other
  return () => {
    WebSocket = SystemWebSocket
  }
}
