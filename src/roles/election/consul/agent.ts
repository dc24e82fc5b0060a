/**
 * The HTTP API of a Consul agent: one request, one answer within a bound of bytes and of time.
 * Whatever goes wrong is ELECTION_AWAY, whose detail never holds the token.
 */
import { messageOf, systemCode, WalcastError } from '../../../errors.ts'
import { plainText } from '../../../plainText.ts'
import { httpClient } from '../../../platform/httpClient.ts'
import { monotonicMs, timeLimit } from '../../../platform/time.ts'

export interface ConsulAccess {
  /** Of the agent on this machine, such as `http://127.0.0.1:8500`. */
  readonly url: string
  /** What Consul's access control knows this node by. */
  readonly token?: string
  /** Each in PEM. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

export interface AgentRequest {
  readonly method: 'GET' | 'PUT'
  /** Below `/v1/`, each part encoded where it must be. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** No whole answer by then is a failure; by the monotonic clock. */
  readonly untilMs: number
  /** The most bytes of the answer. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

export interface AgentAnswer {
  readonly status: number
  readonly text: string
  /** `X-Consul-Index`, as it came. */
  readonly index: string
}

/** Enough for a session, the outcome of a transaction, and a text about a failure. */
const SMALL_ANSWER_BYTES = 64 * 1024
/** One waits for changes, the others ask. */
const MAX_CONNECTIONS = 8
const MAX_DETAIL_CHARS = 200

export class ConsulAgent {
  /** For people. */
  readonly name: string
  readonly #origin: string
  readonly #token: string | undefined
  readonly #connections: InstanceType<ReturnType<typeof httpClient>['Agent']>

  constructor({ url, token, tls = {} }: ConsulAccess, connectMs: number) {
    this.#origin = new URL(url).origin
    this.name = `Consul at ${this.#origin}`
    this.#token = token
    this.#connections = new (httpClient().Agent)({
      connections: MAX_CONNECTIONS,
      connect: { timeout: connectMs, ...tls },
      // The limit of each request bounds these.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  /** Throws ELECTION_AWAY when no whole answer comes. A redirect is an answer. */
  async request(asked: AgentRequest): Promise<AgentAnswer> {
    const limitMs = Math.max(0, Math.ceil(asked.untilMs - monotonicMs()))
    const limit = timeLimit(limitMs)
    try {
      return await this.#send(asked, asked.signal ? AbortSignal.any([asked.signal, limit]) : limit)
    } catch (error) {
      if (error instanceof WalcastError) throw error
      const detail = limit.aborted ? `no answer within ${limitMs} ms` : failureText(error)
      throw this.away(detail, error)
    }
  }

  /** The JSON of an answer with status 200. Throws ELECTION_AWAY. */
  json({ status, text }: AgentAnswer): unknown {
    if (status !== 200) throw this.refusal(status, text)
    try {
      return JSON.parse(text)
    } catch (error) {
      throw this.away('its answer is not JSON', error)
    }
  }

  /** An answer that says no. */
  refusal(status: number, text: string): WalcastError {
    return this.away(`it answers ${status}: ${text.trim() || 'nothing more'}`)
  }

  away(detail: string, cause?: unknown): WalcastError {
    return new WalcastError('ELECTION_AWAY', this.#told(detail), cause)
  }

  unfit(detail: string): WalcastError {
    return new WalcastError('ELECTION_UNFIT', this.#told(detail))
  }

  /** Ends all requests. */
  close(): Promise<void> {
    return this.#connections.destroy()
  }

  async #send(asked: AgentRequest, signal: AbortSignal): Promise<AgentAnswer> {
    const { method, path, query = {}, body, maxBytes = SMALL_ANSWER_BYTES } = asked
    const search = new URLSearchParams(query).toString()
    const answer = await httpClient().request(
      `${this.#origin}/v1/${path}${search && `?${search}`}`,
      {
        method,
        headers: {
          'accept-encoding': 'identity',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.#token === undefined ? {} : { 'x-consul-token': this.#token }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        dispatcher: this.#connections,
        signal,
      },
    )
    const text = await textWithin(answer.body, maxBytes)
    if (text === undefined) throw this.away(`its answer has more than ${maxBytes} bytes`)
    const index = answer.headers['x-consul-index']
    return { status: answer.statusCode, text, index: typeof index === 'string' ? index : '' }
  }

  /** A server, or what stands before it, may repeat what it was sent. */
  #told(detail: string): { readonly service: string; readonly detail: string } {
    const safe = this.#token ? detail.replaceAll(this.#token, '(token)') : detail
    return { service: this.name, detail: plainText(safe, MAX_DETAIL_CHARS) }
  }
}

/** Undefined when it is longer; the connection ends then. */
async function textWithin(
  stream: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<string | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += piece.length
    if (bytes > maxBytes) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces, bytes).toString('utf8')
}

function failureText(error: unknown): string {
  if (error instanceof httpClient().errors.HTTPParserError) return 'it does not speak HTTP'
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  // A name with several addresses has one failure for each.
  if (cause instanceof AggregateError && cause.message === '')
    return cause.errors.map(messageOf).join(', ')
  return messageOf(cause) || systemCode(cause)
}
