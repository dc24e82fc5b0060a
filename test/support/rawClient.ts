/** A bare WebSocket client, for messages that no replica would send. */
import { WebSocket } from 'ws'
import { decode, encode } from '../../proto/codec.ts'
import type { Body, Message } from '../../proto/messages.ts'
import type { TestNode } from './testNode.ts'
import { within } from './until.ts'

export class RawClient {
  readonly messages: Message[] = []
  readonly closed: Promise<number>
  readonly #socket: WebSocket

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => this.messages.push(decode(data)))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)))
  }

  static async open(
    node: Pick<TestNode, 'address'>,
    headers: Record<string, string> = {},
  ): Promise<RawClient> {
    const socket = new WebSocket(`ws://${node.address}/_walcast/stream`, ['walcast.1'], { headers })
    const client = new RawClient(socket)
    await within(
      'the WebSocket opens',
      new Promise<void>((resolve, reject) => {
        socket.on('open', () => resolve())
        socket.on('error', reject)
      }),
    )
    return client
  }

  send(data: Buffer | string): void {
    this.#socket.send(data)
  }

  hello(change: Partial<Body<'hello'>> = {}): void {
    this.send(encode('hello', { ...HELLO, ...change }))
  }

  close(): void {
    this.#socket.terminate()
  }
}

export const HELLO: Body<'hello'> = {
  db: 'main',
  node: 'raw-client',
  cluster: '',
  instance: '00000000cafe0000',
  upMs: 0,
  epoch: 0,
  txid: 0,
  history: '',
  highestEpoch: 0,
  term: 0,
  leader: '',
  checksum: '',
  pageSize: 0,
  pages: 0,
  version: 'test',
  advertise: '',
  lagMs: 0,
}
