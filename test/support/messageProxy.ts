/**
 * A man in the middle that speaks the protocol: it decodes each message, may change it, and gives
 * it a valid checksum again.
 */
import { WebSocket, WebSocketServer } from 'ws'
import { decode, encode } from '../../proto/codec.ts'
import type { Body, Message, MessageType } from '../../proto/messages.ts'
import { freePort } from '../../src/cli/freePorts.ts'

/** Gives the bytes to pass on to the replica instead of the leader's message. */
export type Change = (message: Message, bytes: Buffer) => Buffer

export class MessageProxy {
  readonly port: number
  readonly #server: WebSocketServer
  change: Change = (_message, bytes) => bytes

  private constructor(port: number, server: WebSocketServer, target: string) {
    this.port = port
    this.#server = server
    server.on('connection', (replica) => this.#join(replica, target))
  }

  static async start(target: string): Promise<MessageProxy> {
    const port = await freePort()
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port,
      handleProtocols: () => 'walcast.1',
    })
    await new Promise((resolve) => server.once('listening', resolve))
    return new MessageProxy(port, server, target)
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Ends the connections of now; replicas come back. */
  cut(): void {
    for (const client of this.#server.clients) client.terminate()
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(replica: WebSocket, target: string): void {
    const leader = new WebSocket(`ws://${target}/_walcast/stream`, ['walcast.1'])
    const early: Buffer[] = []
    const end = () => {
      replica.terminate()
      leader.terminate()
    }
    replica.on('message', (data: Buffer) => {
      if (leader.readyState === WebSocket.OPEN) leader.send(data)
      else early.push(data)
    })
    leader.on('open', () => {
      for (const data of early) leader.send(data)
    })
    leader.on('message', (data: Buffer) => replica.send(this.change(decode(data), data)))
    for (const socket of [replica, leader]) socket.on('close', end).on('error', end)
  }
}

/** Encodes a message again with other fields or another payload. */
export function altered<T extends MessageType>(type: T, body: Body<T>, payload: Buffer): Buffer {
  return encode(type, body, payload.length, (target) => target.set(payload))
}
