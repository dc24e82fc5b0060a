/**
 * A stranger who knows no secret and answers where a node should be. It records every byte that
 * reaches it.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

export interface RogueRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** With what the rogue is asked for: an upgrade is not answered by `answer` alone. */
  readonly isUpgrade: boolean
}

export interface RogueAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON unless it is a text. */
  readonly body?: object | string
}

/** Undefined: no answer. */
export type Answering = (
  request: RogueRequest,
) => RogueAnswer | undefined | Promise<RogueAnswer | undefined>

interface Ending {
  after(end: () => void): void
}

/** What only who may get it gets: a node asks these, with a challenge, before it sends more. */
const QUESTIONS = new Set(['GET /_walcast/proof', 'GET /leader'])

export class Rogue {
  readonly requests: RogueRequest[] = []
  answer: Answering
  port = 0
  #bytes = ''

  private constructor(answer: Answering) {
    this.answer = answer
  }

  /** Listens on the port, or on a free one, until the test ends. */
  static async start(t: Ending, answer: Answering, port = 0): Promise<Rogue> {
    const rogue = new Rogue(answer)
    const server = createServer()
    server.on('connection', (socket) => {
      socket.on('data', (bytes: Buffer) => {
        rogue.#bytes += bytes.toString('latin1')
      })
    })
    server.on('request', async (request, response) => {
      const {
        status = 200,
        headers = {},
        body = '',
      } = (await rogue.#asked(request, false)) ?? {
        status: 0,
      }
      if (status === 0) return
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const whole = { 'content-type': 'application/json', ...headers }
      response.writeHead(status, { ...whole, 'content-length': Buffer.byteLength(text) }).end(text)
    })
    server.on('upgrade', async (request: IncomingMessage, socket: Duplex) => {
      socket.on('error', () => {})
      await rogue.#asked(request, true)
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    rogue.port = (server.address() as AddressInfo).port
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return rogue
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get url(): string {
    return `http://${this.address}`
  }

  /** All bytes that reached it. */
  get bytes(): string {
    return this.#bytes
  }

  /** What reached it and is no question of a node that waits for proof. */
  get taken(): string[] {
    return this.requests
      .filter(
        ({ method, path, headers, body, isUpgrade }) =>
          !QUESTIONS.has(`${method} ${path}`) ||
          isUpgrade ||
          body !== '' ||
          ['cookie', 'authorization', 'x-replica-auth'].some((name) => name in headers),
      )
      .map((each) => JSON.stringify(each))
  }

  /** What it was asked, by a node or a command. */
  get questions(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`)
  }

  async #asked(request: IncomingMessage, isUpgrade: boolean): Promise<RogueAnswer | undefined> {
    const chunks: Buffer[] = []
    if (!isUpgrade) for await (const chunk of request) chunks.push(chunk)
    const { method = '', url: path = '', headers } = request
    const body = Buffer.concat(chunks).toString('latin1')
    const asked = { method, path, headers, body, isUpgrade }
    this.requests.push(asked)
    return this.answer(asked)
  }
}
