/**
 * The socket `FILE-walcast/control.sock`. Only the user that runs the node, and root, can connect
 * to it, so whoever asks there may do everything and needs no secret.
 *
 * A node that cannot open it serves all the same: only commands on its machine miss it. The socket
 * of a node that was killed is replaced, which the lock of the folder makes safe. Nothing but a
 * socket is ever removed, and no link is followed.
 */
import type { IncomingMessage, RequestListener, ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { CONTROL_SOCKET } from '../api/controlSocket.ts'
import { asWalcastError, keyOf, messageOf } from '../errors.ts'
import { chmodSync, lstatSync, unlinkSync } from '../platform/files.ts'
import { kindOf, strangeFile } from '../platform/plainFiles.ts'
import { SocketPath } from '../platform/socketPath.ts'
import { createHttpServer } from '../platform/sockets.ts'
import type { ConnectionLimits, Cut } from '../proxy/connectionBudget.ts'
import { CONTROL_CONNECTIONS } from '../proxy/openFiles.ts'
import { counted, fewConnections } from './countedRequests.ts'

/** Leaves only the owner's right to connect, which is that to write. */
const UMASK = 0o177
const MODE = 0o600

export interface ControlSocketOptions {
  /** The folder of the node. */
  readonly folder: string
  readonly http: ServerOptions
  readonly limits: ConnectionLimits
  readonly log: Logger
  onCut(why: Cut): void
  handle: RequestListener
}

export class ControlSocket {
  readonly #options: ControlSocketOptions
  readonly #server: ReturnType<typeof createHttpServer>
  /**
   * The connections that came here. The absence of an address would not tell: a connection that has
   * ended has none either.
   */
  readonly #connections = new WeakSet<Socket>()
  #path: SocketPath | undefined

  constructor(options: ControlSocketOptions) {
    this.#options = options
    const { http, limits, onCut, handle } = options
    const connections = fewConnections(limits, CONTROL_CONNECTIONS, onCut)
    this.#server = createHttpServer(http, counted(connections, handle))
    connections.attach(this.#server)
    this.#server.on('connection', (socket: Socket) => this.#connections.add(socket))
  }

  /** Whether a request came over this socket. */
  isFrom(request: IncomingMessage): boolean {
    return this.#connections.has(request.socket)
  }

  /** Never throws. Logs why there is no socket. */
  async open(): Promise<void> {
    const { folder, log } = this.#options
    const path = `${folder}/${CONTROL_SOCKET}`
    try {
      this.#path = new SocketPath(folder, CONTROL_SOCKET)
      removeStale(this.#path.path, path)
      await this.#listen(this.#path.path)
      // A default ACL of the folder counts in place of the umask.
      chmodSync(this.#path.path, MODE)
      this.#server.on('error', (error) =>
        log.warn({ path, error: messageOf(error) }, 'the control socket failed'),
      )
    } catch (error) {
      const why = keyOf(error) ? asWalcastError(error).line : messageOf(error)
      log.warn(
        { path, error: why },
        'no control socket; commands on this machine need --node and the secret',
      )
      await this.close()
    }
  }

  /** Also removes the socket. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
    this.#path?.close()
    this.#path = undefined
  }

  /**
   * Whoever could connect between bind(2) and chmod(2) would be let in. The mode of the folder
   * (0700) keeps others out, and the umask does where a link leads to a folder that is open to
   * them. Node binds and listens before `listen` returns (unless a primary process of node:cluster
   * does it, hence `exclusive`), so no other code of this thread runs under that umask.
   */
  #listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      const umask = process.umask(UMASK)
      try {
        this.#server.listen({ path, exclusive: true }, () => {
          this.#server.off('error', reject)
          resolve()
        })
      } finally {
        process.umask(umask)
      }
    })
  }
}

/** `shown`: the same path as a person knows it. Throws STRANGE_FILE. */
function removeStale(path: string, shown: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket()) throw strangeFile(shown, kindOf(path, found))
  unlinkSync(path)
}
