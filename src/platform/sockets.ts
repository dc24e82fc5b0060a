/** What makes connections and listens for them: TCP, TLS, HTTP, WebSocket. */
export { createServer as createHttpServer, request as httpRequest } from 'node:http'
export { request as httpsRequest } from 'node:https'
export {
  connect as connectTcp,
  createServer as createTcpServer,
  Server as TcpServer,
} from 'node:net'
export { connect as connectTls } from 'node:tls'
export { Agent, fetch, request } from 'undici'
export { WebSocket, WebSocketServer } from 'ws'
