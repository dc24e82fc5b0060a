/**
 * One request to one member of etcd, over HTTP/1.1. It bounds the time and the size of an answer,
 * and follows no redirect. Connections stay open between requests; they do not keep the process
 * alive.
 */
import { httpClient } from '../../../platform/httpClient.ts'
import { monotonicMs, timeLimit } from '../../../platform/time.ts'
import { type EtcdMessage, readMessages, WrongAnswer } from './etcdAnswers.ts'

/** PEM. Without `ca`, etcd is known by the authorities of Node. */
export interface EtcdCertificates {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface EtcdRequest {
  readonly path: string
  /** JSON: one message, or several for a stream. Undefined: a GET. */
  readonly body?: string
  /** Of the answer; 64 KiB unless given. */
  readonly maxBytes?: number
}

export interface EtcdStream {
  readonly status: number
  readonly contentType: string
  readonly body: AsyncIterable<Buffer>
}

/** No answer came within the limit. */
export class NoAnswerInTime extends Error {}

const MAX_ANSWER_BYTES = 64 * 1024
/** Of each member: renewal, look, note and watch may be under way at once. */
const MAX_CONNECTIONS = 8
/** Longer than between two renewals. The bound of a request finds one that is dead. */
const KEEP_ALIVE_MS = 60_000
/** A machine that is gone is noticed so soon where nothing is sent, and some ten seconds later. */
const TCP_KEEP_ALIVE_MS = 2_000

export class EtcdConnections {
  readonly #agent: InstanceType<ReturnType<typeof httpClient>['Agent']>
  #isClosed = false

  /** `connectMs`: the most that one attempt to connect may take. */
  constructor(certificates: EtcdCertificates, connectMs: number) {
    this.#agent = new (httpClient().Agent)({
      connections: MAX_CONNECTIONS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        ...certificates,
        timeout: connectMs,
        keepAlive: true,
        keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      },
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Sends it once. Throws EtcdRefusal, WrongAnswer, NoAnswerInTime, and what the connection throws.
   */
  async send(
    origin: string,
    request: EtcdRequest,
    token: string,
    untilMs: number,
  ): Promise<EtcdMessage[]> {
    const limitMs = Math.max(1, Math.ceil(untilMs - monotonicMs()))
    const limit = timeLimit(limitMs)
    try {
      const { status, contentType, body } = await this.stream(origin, request, token, limit)
      const text = await readText(body, request.maxBytes)
      return readMessages(status, contentType, text)
    } catch (error) {
      if (limit.aborted) throw new NoAnswerInTime(`no answer in ${limitMs} ms`)
      throw error
    }
  }

  /** Sends it once, and gives the answer as it comes. */
  async stream(
    origin: string,
    { path, body }: EtcdRequest,
    token: string,
    signal: AbortSignal,
  ): Promise<EtcdStream> {
    const answer = await httpClient().request(`${origin}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        'accept-encoding': 'identity',
        // A member that has lost its leader then ends a stream; it would be silent otherwise.
        'grpc-metadata-hasleader': 'true',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === '' ? {} : { authorization: token }),
      },
      body: body ?? null,
      dispatcher: this.#agent,
      signal,
    })
    const { 'content-type': type } = answer.headers
    return {
      status: answer.statusCode,
      contentType: typeof type === 'string' ? type : '',
      body: answer.body,
    }
  }

  /** Ends every connection and every request that is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#agent.destroy()
  }
}

/** Throws WrongAnswer, and what the connection throws. */
export async function readText(
  stream: AsyncIterable<Buffer>,
  maxBytes = MAX_ANSWER_BYTES,
): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += piece.length
    if (bytes > maxBytes) throw new WrongAnswer(`it has more than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, bytes).toString('utf8')
}
