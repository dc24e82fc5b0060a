/**
 * What came back for a question to a node: its answer, its refusal, something that is none of a
 * node, or nothing. What it says never reaches the terminal unescaped.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { errors } from 'undici'
import { AnswerTooLong } from '../cluster/socketExchange.ts'
import { isErrorCode, messageOf, systemCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { Credential } from './credential.ts'
import { type Shape, WHOLE } from './shape.ts'

/** No answer of a node is as long: its longest list, 1025 positions, takes some 100 KB. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** How much is shown of an answer that does not come from a node. */
const SHOWN_CHARS = 80
const MAX_MESSAGE_CHARS = 500
/** OpenSSL's errors for an answer in plain text. */
const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
])

/** Where a question went, and by what the one who asks proves who it is. */
export interface Asked {
  readonly url: URL
  /** The URL, or the path of the socket, for messages. */
  readonly shown: string
  readonly credential?: Credential
}

export interface Answer {
  /** URL, or path of the socket, for messages. */
  readonly url: string
  readonly status: number
  /** A JSON object, not checked yet. */
  readonly body: Readonly<Record<string, unknown>>
  /** The beginning of the body, for messages. */
  readonly beginning: string
}

export interface Head {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
}

/** Throws NODE_ANSWER when something else than a node answered, UNAUTHORIZED for 401. */
export function answerIn(way: Asked, head: Head, bytes: Buffer): Answer {
  const body = jsonIn(bytes)
  const beginning = beginningOf(bytes)
  if (!body) throw strangeAnswer(way, head, beginning)
  if (head.statusCode === 401 && isOfWalcast(body)) throw unauthorized(way, body)
  return { url: way.shown, status: head.statusCode, body, beginning }
}

/**
 * The JSON of a successful answer. Throws the catalogue's error that the node answered with, or
 * NODE_ANSWER.
 */
export function bodyOf<T>(answer: Answer, shape: Shape): T {
  const { url, status, body, beginning } = answer
  if (status < 200 || status >= 300) throw refusalIn(answer)
  const wrong = shape(body, WHOLE)
  if (wrong === undefined) return body as T
  throw new WalcastError('NODE_ANSWER', {
    url,
    detail: `${status} with JSON that is no answer of a node (${wrong}): ${beginning}`,
  })
}

/** Leaves the loop early to close the connection of an answer that is too long. */
export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new AnswerTooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function jsonIn(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** Why no complete answer came. */
export function failureOf(
  way: Asked,
  head: Head | undefined,
  error: unknown,
  timeoutMs: number,
): WalcastError {
  const isLate = error instanceof Error && error.name === 'TimeoutError'
  const late = `within ${timeoutMs / 1000} s`
  if (head && error instanceof AnswerTooLong)
    return strangeAnswer(way, head, `more than ${MAX_ANSWER_BYTES / 1024 ** 2} MiB`, error)
  if (head && isLate) return strangeAnswer(way, head, `a body that did not end ${late}`, error)
  if (error instanceof errors.InvalidArgumentError)
    return new WalcastError('SECRET_UNREADABLE', { detail: 'no HTTP header can carry it' }, error)
  if (error instanceof errors.HTTPParserError)
    return new WalcastError(
      'NODE_ANSWER',
      { url: way.shown, detail: 'in something other than HTTP' },
      error,
    )
  const detail = isLate ? `no answer ${late}` : connectionText(way.url, error)
  return new WalcastError('NODE_UNREACHABLE', { url: way.shown, detail }, error)
}

function connectionText({ protocol }: URL, error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = systemCode(cause)
  if (NO_TLS.has(code)) return 'the server speaks no TLS: write http://'
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET') {
    const hint = protocol === 'http:' ? ' (if it speaks TLS, write https://)' : ''
    return `the connection was closed without an answer${hint}`
  }
  // A name with several addresses has one failure for each.
  if (cause instanceof AggregateError && cause.message === '')
    return cause.errors.map(messageOf).join(', ')
  return messageOf(cause)
}

/** Something other than a node answers there. */
function strangeAnswer(
  { shown }: Asked,
  { statusCode, headers }: Head,
  what: string,
  cause?: unknown,
): WalcastError {
  const type = plainText(String(headers['content-type'] ?? 'no content type'), SHOWN_CHARS)
  const location = headers['location']
  const to =
    location === undefined
      ? ''
      : ` and redirects to ${plainText(String(location), 2 * SHOWN_CHARS)}`
  return new WalcastError(
    'NODE_ANSWER',
    { url: shown, detail: `${statusCode} (${type})${to}: ${what}` },
    cause,
  )
}

/** The error in a refusal, by a node or by something else. */
function refusalIn({ url, status, body, beginning }: Answer): WalcastError {
  const message = plainText(String(body['message'] ?? ''), MAX_MESSAGE_CHARS)
  const key = String(body['code'] ?? '').replace(/^WALCAST_/, '')
  // The public side of a node serves none of the paths that commands ask for.
  if (key === 'NOT_FOUND')
    return new WalcastError('NODE_ANSWER', {
      url,
      detail: `${status}, as the public side (--proxy) of a node does`,
    })
  if (isErrorCode(key)) return new WalcastError(key, { message })
  return new WalcastError('NODE_ANSWER', { url, detail: `${status}: ${message || beginning}` })
}

function isOfWalcast({ code }: Answer['body']): boolean {
  return typeof code === 'string' && code.startsWith('WALCAST_')
}

function unauthorized({ shown, credential }: Asked, { message }: Answer['body']): WalcastError {
  switch (credential?.kind) {
    case 'token': {
      const why = plainText(String(message ?? ''), MAX_MESSAGE_CHARS)
      return new WalcastError('UNAUTHORIZED', { message: `${shown} refuses the token: ${why}` })
    }
    case 'secret':
      return new WalcastError('UNAUTHORIZED', {
        message: `${shown} has a different secret`,
        cure: 'set WALCAST_SECRET or WALCAST_SECRET_FILE to that of the node',
      })
    case undefined:
      return new WalcastError('UNAUTHORIZED', {
        message: `${shown} wants the cluster secret or a token`,
        cure:
          'set WALCAST_SECRET or WALCAST_SECRET_FILE, or WALCAST_TOKEN or WALCAST_TOKEN_FILE ' +
          '("walcast token create" makes a token on the machine of a node)',
      })
  }
}

function beginningOf(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing more'
  const text = plainText(bytes.toString('utf8', 0, 4 * SHOWN_CHARS), SHOWN_CHARS)
  return `"${text}"${bytes.length > SHOWN_CHARS ? '...' : ''}`
}
