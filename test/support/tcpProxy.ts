/**
 * A TCP proxy on loopback between a replica and its leader. It can cut, delay, hold and change
 * bytes.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../src/cli/freePorts.ts'

const STREAM = 'GET /_walcast/stream '

/**
 * `toReplica` bytes come from the leader. Gives the bytes to pass on, or undefined to cut the
 * connection.
 */
export type Tamper = (bytes: Buffer, toReplica: boolean) => Buffer | undefined

export class TcpProxy {
  readonly port: number
  readonly #target: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  tamper: Tamper = (bytes) => bytes
  delayMs = 0
  /** Added to what the leader sends on connections that carry the replication stream. */
  streamDelayMs = 0
  /** The most bytes a second to the replica; 0 is without a limit. */
  bytesPerSecond = 0
  connections = 0

  private constructor(port: number, target: number) {
    this.port = port
    this.#target = target
    this.#server = createServer((socket) => this.#accept(socket))
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(await freePort(), target)
    await new Promise<void>((resolve) => proxy.#server.listen(proxy.port, '127.0.0.1', resolve))
    return proxy
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cutAll()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(client: Socket): void {
    this.connections++
    const leader = connect(this.#target, '127.0.0.1')
    const link = { isStream: false }
    // The node proves itself on the connection first.
    client.on('data', (bytes) => {
      link.isStream ||= bytes.subarray(0, 64).toString('latin1').startsWith(STREAM)
    })
    this.#pipe(client, leader, false, link)
    this.#pipe(leader, client, true, link)
  }

  #pipe(from: Socket, to: Socket, toReplica: boolean, link: { readonly isStream: boolean }): void {
    this.#sockets.add(from)
    const end = () => {
      from.destroy()
      to.destroy()
    }
    from.on('data', (bytes) => {
      const passed = this.tamper(bytes, toReplica)
      if (!passed) {
        from.pause()
        return void setTimeout(() => to.end(end), this.delayMs)
      }
      const write = () => {
        if (!to.destroyed && !to.write(passed)) {
          from.pause()
          to.once('drain', () => from.resume())
        }
      }
      const delayMs = this.delayMs + (toReplica && link.isStream ? this.streamDelayMs : 0)
      if (toReplica && this.bytesPerSecond > 0) slowDown(from, bytes.length / this.bytesPerSecond)
      if (delayMs > 0) setTimeout(write, delayMs)
      else write()
    })
    from.on('error', end)
    from.on('close', () => {
      this.#sockets.delete(from)
      end()
    })
  }
}

/** Stops reading from `socket` for so long. */
function slowDown(socket: Socket, seconds: number): void {
  socket.pause()
  setTimeout(() => socket.resume(), seconds * 1000)
}
