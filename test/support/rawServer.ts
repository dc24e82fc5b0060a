/** A server on loopback that treats connections as a test says, for peers that break the rules. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

interface Ending {
  after(end: () => void): void
}

export interface RawServer {
  readonly port: number
  readonly address: string
  /** What arrived on each connection. */
  readonly received: string[]
  /** Stops listening, and cuts all connections. */
  close(): void
}

/** `onText`: the other side has sent something; `text` is all of it on this connection. */
export async function rawServer(
  t: Ending,
  onText: (text: string, socket: Socket) => void,
): Promise<RawServer> {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const at = received.push('') - 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      received[at] += bytes.toString('latin1')
      onText(received[at], socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  t.after(close)
  const { port } = server.address() as AddressInfo
  return { port, address: `127.0.0.1:${port}`, received, close }
}

/** A whole answer in HTTP. */
export function answerText(status: number, body: string, headers: readonly string[] = []): string {
  const length = `content-length: ${Buffer.byteLength(body)}`
  return [`HTTP/1.1 ${status} Told`, length, ...headers, '', body].join('\r\n')
}
