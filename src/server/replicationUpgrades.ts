/** Replicas that connect to the replication stream (PROTOCOL.md, "Connecting"). */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSIONS,
  STREAM_PATH,
  SUBPROTOCOL_PREFIX,
} from '../../proto/limits.ts'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import { asWalcastError, WalcastError } from '../errors.ts'
import { WebSocketServer } from '../platform/sockets.ts'
import type { ConnectionBudget } from '../proxy/connectionBudget.ts'
import { headerOf } from '../proxy/headers.ts'
import { refuseUpgrade } from '../proxy/upgradeRelay.ts'
import type { Authenticator } from '../security/auth.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'

/** WebSocket close code of an error (PROTOCOL.md, "Errors and closing"). */
const ERROR_CLOSE = 4000

export interface ReplicationUpgradesOptions {
  readonly auth: Authenticator
  readonly databases: Databases
  readonly connections: ConnectionBudget
  isForThisNode(request: IncomingMessage): boolean
  isStopping(): boolean
  nowMs(): number
}

export class ReplicationUpgrades {
  readonly #options: ReplicationUpgradesOptions
  readonly #webSockets: WebSocketServer

  constructor(options: ReplicationUpgradesOptions) {
    this.#options = options
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handleProtocols: (offered) => commonProtocol(offered) ?? false,
    })
  }

  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { connections, databases, nowMs } = this.#options
    const refused = this.#refuse(request)
    if (refused) return refuseUpgrade(socket, refused, { timeMs: nowMs() })
    const sender = senderOf(headerOf(request, REPLICA_AUTH_HEADER))
    connections.prove(socket, sender?.node ?? '')
    connections.upgrade(socket)
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.setNoDelay(true)
      try {
        onlyDatabase(databases).view.accept(webSocket, request.socket.remoteAddress ?? '')
      } catch (error) {
        webSocket.close(ERROR_CLOSE, asWalcastError(error).key)
      }
    })
  }

  close(): void {
    this.#webSockets.close()
  }

  #refuse(request: IncomingMessage): WalcastError | undefined {
    const { auth, databases, isForThisNode, isStopping } = this.#options
    if (request.url !== STREAM_PATH)
      return new WalcastError('NOT_FOUND', { path: request.url ?? '' })
    if (headerOf(request, 'origin') !== undefined || !isForThisNode(request))
      return new WalcastError('FOREIGN_PAGE')
    const refused = auth.refuseNode(request, 'stream')
    if (refused) return refused
    const offered = headerOf(request, 'sec-websocket-protocol') ?? ''
    if (!commonProtocol(offered.split(',').map((name) => name.trim())))
      return new WalcastError('PROTOCOL_VERSION', {
        leader: PROTOCOL_VERSIONS.join(', '),
        replica: offered || 'none',
      })
    if (isStopping()) return new WalcastError('STOPPING')
    return onlyDatabase(databases).view.refuseReplicas()
  }
}

/** The best subprotocol that both sides speak. */
function commonProtocol(offered: Iterable<string>): string | undefined {
  const names = new Set(offered)
  return PROTOCOL_VERSIONS.map((version) => `${SUBPROTOCOL_PREFIX}${version}`).find((name) =>
    names.has(name),
  )
}
