/**
 * The answer of another server. Its head is here; its body, but for the first bytes, waits until
 * the answer is relayed or discarded.
 */
import type { IncomingHttpHeaders, InformationEvent, ServerResponse } from 'node:http'
import type { Position } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import { onNextTurn, setTimer } from '../platform/time.ts'
import { type HeaderValue, ofAnswer } from './headers.ts'

/**
 * A discarded answer is read to its end up to this size, so that its connection can be used
 * again...
 */
const MAX_DISCARDED_BYTES = 64 * 1024

/** ... and for this time. */
const MAX_DISCARD_MS = 1000

/**
 * Bytes of a body that are read before a sink takes it. Most answers are shorter, so nothing holds
 * them up on their way in.
 */
const MAX_UNREAD_BYTES = 16 * 1024

/** Takes an answer's body. `write` says whether it can take more now. */
export interface AnswerSink {
  write(chunk: Buffer): boolean
  end(trailers: IncomingHttpHeaders): void
  fail(error: Error): void
}

/** Where an answer comes from. */
export interface AnswerSource {
  pause(): void
  resume(): void
  abort(reason: Error): void
}

/** As in HTTP/1.1: names in lower case, repeated headers apart. */
export type AnswerHeaders = Readonly<Record<string, HeaderValue | undefined>>

export class Answer {
  readonly #source: AnswerSource
  readonly status: number
  readonly statusText: string
  readonly headers: AnswerHeaders
  #sink: AnswerSink | undefined
  #isDiscarded = false
  #discardedBytes = 0
  #failure: Error | undefined
  #ended = false
  #trailers: IncomingHttpHeaders = {}
  #unread: Buffer[] = []
  #unreadBytes = 0

  constructor(source: AnswerSource, status: number, statusText: string, headers: AnswerHeaders) {
    this.#source = source
    this.status = status
    this.statusText = statusText
    this.headers = headers
  }

  header(name: string): string | undefined {
    const value = this.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  /** Whether its length is known beforehand; a stream of events for example has none. */
  get hasLength(): boolean {
    return this.headers['content-length'] !== undefined
  }

  get isEventStream(): boolean {
    return (this.header('content-type') ?? '').startsWith('text/event-stream')
  }

  /** Lets the body go to `sink`, once. */
  pipeTo(sink: AnswerSink): void {
    for (const chunk of this.#unread) sink.write(chunk)
    this.#unread = []
    if (this.#failure) return sink.fail(this.#failure)
    if (this.#ended) return sink.end(this.#trailers)
    this.#sink = sink
    this.#source.resume()
  }

  /**
   * Takes back what was read so far, for another sink. The sink calls it in `write`, which then
   * returns false.
   */
  unread(chunks: Buffer[]): void {
    this.#sink = undefined
    this.#unread = chunks
    this.#unreadBytes = MAX_UNREAD_BYTES
  }

  resume(): void {
    this.#source.resume()
  }

  /** Reads a short body to its end, or closes the connection. */
  discard(): void {
    this.#isDiscarded = true
    this.#unread = []
    if (this.#ended) return
    this.#source.resume()
    setTimer(() => this.abort(new Error('the answer is not wanted')), MAX_DISCARD_MS).unref()
  }

  abort(reason: Error): void {
    if (!this.#ended) this.#source.abort(reason)
  }

  take(chunk: Buffer): boolean {
    if (this.#sink) return this.#sink.write(chunk)
    if (!this.#isDiscarded) {
      this.#unread.push(chunk)
      this.#unreadBytes += chunk.length
      return this.#unreadBytes < MAX_UNREAD_BYTES
    }
    this.#discardedBytes += chunk.length
    if (this.#discardedBytes > MAX_DISCARDED_BYTES)
      this.abort(new Error('the answer is not wanted'))
    return true
  }

  end(trailers: IncomingHttpHeaders): void {
    this.#ended = true
    this.#trailers = trailers
    this.#sink?.end(trailers)
  }

  fail(error: Error): void {
    this.#failure = error
    this.#ended = true
    this.#sink?.fail(error)
  }
}

/**
 * The position that contains what the answer is based on. Gives the answer up if none can be told:
 * its connection would be held forever.
 */
export async function settledBehind(
  answer: Answer,
  view: Pick<DatabaseView, 'settle'>,
): Promise<Position> {
  try {
    return await view.settle()
  } catch (error) {
    answer.abort(new Error('it has no position'))
    throw error
  }
}

/**
 * Answers under way that have no end of their own. A stop does not wait for them: their clients
 * connect again.
 */
const eventStreams = new WeakMap<ServerResponse, Answer>()

/**
 * Ends the answer if it is an event stream, here and at its source. Nothing may be written to it
 * afterwards.
 */
export function endEventStream(response: ServerResponse): void {
  const answer = eventStreams.get(response)
  if (!answer) return
  response.end()
  answer.abort(new Error('its client has to connect again'))
}

/** Sends the answer to a client as it comes, with `headers` in place of its own. */
export function relay(
  answer: Answer,
  response: ServerResponse,
  headers: Record<string, HeaderValue>,
): void {
  if (response.destroyed) return answer.abort(new Error('the client went away'))
  const takesTrailers = canTrail(answer, response)
  if (!takesTrailers) delete headers['trailer']
  if (answer.isEventStream) eventStreams.set(response, answer)
  try {
    response.writeHead(answer.status, answer.statusText, headers)
  } catch (error) {
    answer.abort(new Error('its head cannot be passed on'))
    throw error
  }
  response.on('drain', () => answer.resume())
  response.on('close', () => {
    if (!response.writableFinished) answer.abort(new Error('the client went away'))
  })
  answer.pipeTo(new ResponseSink(answer, response, takesTrailers))
  // The first bytes of a stream may be long in coming; its head does not wait for them.
  if (!answer.hasLength)
    onNextTurn(() => {
      if (!response.writableEnded) response.flushHeaders()
    })
}

/**
 * Sends an answer before the answer (RFC 9110, section 15.2) if it is its turn on the connection;
 * it does not wait for that. Node's server has asked for the body itself (100), and HTTP/1.0 has no
 * such answers.
 */
export function relayInterim(response: ServerResponse, interim: InformationEvent): void {
  const { req, socket, headersSent } = response
  if (headersSent || !socket?.writable || socket.writableNeedDrain) return
  if (req.httpVersionMajor === 1 && req.httpVersionMinor === 0) return
  socket.write(interimText(interim), 'latin1')
}

/** The text that goes out, in latin1; '' for one that Node's server has sent itself. */
export function interimText({ statusCode, statusMessage, rawHeaders }: InformationEvent): string {
  if (statusCode === 100) return ''
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`]
  for (const [name, value] of Object.entries(ofAnswer(headersOf(rawHeaders))))
    for (const one of [value].flat()) lines.push(`${name}: ${one}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Head and body of an answer up to this size go out in one piece. */
const ONE_PIECE_BYTES = 16 * 1024

class ResponseSink implements AnswerSink {
  readonly #response: ServerResponse
  readonly #wholeBytes: number
  readonly #takesTrailers: boolean
  /**
   * The whole body of a short answer, kept until its end comes: an application may still break off
   * there.
   */
  #whole: Buffer | undefined

  constructor(answer: Answer, response: ServerResponse, takesTrailers: boolean) {
    this.#response = response
    this.#wholeBytes = Number(answer.headers['content-length'] ?? 0)
    this.#takesTrailers = takesTrailers
  }

  write(chunk: Buffer): boolean {
    if (chunk.length === this.#wholeBytes && chunk.length <= ONE_PIECE_BYTES) {
      this.#whole = chunk
      return true
    }
    return this.#response.write(chunk)
  }

  end(trailers: IncomingHttpHeaders): void {
    if (this.#takesTrailers && Object.keys(trailers).length > 0)
      this.#response.addTrailers(trailersOf(trailers))
    // As latin1 text it goes out in one write with the head; bytes would take a second one.
    if (this.#whole) this.#response.end(this.#whole.toString('latin1'), 'latin1')
    else this.#response.end()
  }

  /** The answer ended early and must not look whole. */
  fail(): void {
    if (!this.#response.writableEnded) this.#response.destroy()
  }
}

/**
 * Whether trailers may follow. They end a chunked body; Node refuses even to announce them before
 * any other.
 */
function canTrail(answer: Answer, { req }: ServerResponse): boolean {
  const isOld = req.httpVersionMajor === 1 && req.httpVersionMinor === 0
  const hasBody = req.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304
  return !isOld && hasBody && !answer.hasLength
}

/** Names and values in turn, as `IncomingMessage.rawHeaders` has them. */
export function headersOf(raw: readonly string[]): AnswerHeaders {
  // Without a prototype: the names of its members may be headers, too.
  const headers: Record<string, HeaderValue | undefined> = Object.create(null)
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase()
    const before = headers[name]
    if (before === undefined) headers[name] = raw[i + 1]
    else if (typeof before === 'string') headers[name] = [before, raw[i + 1]]
    else before.push(raw[i + 1])
  }
  return headers
}

function trailersOf(trailers: IncomingHttpHeaders): Record<string, string> {
  const passed = Object.entries(trailers).filter(([name]) => !name.startsWith('walcast-'))
  return Object.fromEntries(passed.map(([name, value]) => [name, String(value)]))
}
