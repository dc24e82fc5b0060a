/**
 * What makes connections and listens for them: TCP, TLS, HTTP, WebSocket. A simulation puts
 * WebSockets of its own in place of the system's (`replaceWebSocket`).
 */
import { createRequire } from 'node:module'
import type { WebSocket as SystemWebSocket, WebSocketServer as SystemWebSocketServer } from 'ws'

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

/**
 * Required, since a node has to start fast: to import it, Node first parses its CommonJS for the
 * names of its exports, which is a tenth of what a start loads.
 */
const ws = createRequire(import.meta.url)('ws') as typeof import('ws')

export type WebSocketServer = SystemWebSocketServer
export const { WebSocketServer } = ws

export type WebSocket = SystemWebSocket
/** A live binding, as those of `files.ts` are. */
export let WebSocket: typeof SystemWebSocket = ws.WebSocket

/**
 * Puts another class in place of the system's for this whole thread, until the function that it
 * gives is called.
 */
export function replaceWebSocket(other: typeof SystemWebSocket): () => void {
  WebSocket = other
  return () => {
    WebSocket = ws.WebSocket
  }
}
