/** What is said when something other than a whole answer of a node comes. */
import type { IncomingHttpHeaders } from 'node:http'
import { AnswerTooLong } from '../cluster/socketExchange.ts'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { httpClient } from '../platform/httpClient.ts'

/** No answer of a node is as long: its longest list, 1025 positions, takes some 100 KB. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** How much is shown of an answer that does not come from a node. */
const SHOWN_CHARS = 80

/** Who is asked. */
export interface Asked {
  readonly url: URL
  /** The URL, or the path of the socket, for messages. */
  readonly shown: string
}

/** The beginning of an answer. */
export interface Head {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
}

/** OpenSSL's errors for an answer in plain text. */
const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
])

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
  if (error instanceof httpClient().errors.InvalidArgumentError)
    return new WalcastError('SECRET_UNREADABLE', { detail: 'no HTTP header can carry it' }, error)
  if (error instanceof httpClient().errors.HTTPParserError)
    return new WalcastError(
      'NODE_ANSWER',
      { url: way.shown, detail: 'in something other than HTTP' },
      error,
    )
  const detail = isLate ? `no answer ${late}` : connectionText(way.url, error)
  // What the command asked for tells nothing of what cannot be reached.
  const [url] = way.shown.split('?')
  const cure = isUnknownCertificate(error) ? { cure: PROOF_CURE } : {}
  return new WalcastError('NODE_UNREACHABLE', { url, detail, ...cure }, error)
}

const PROOF_CURE =
  'set WALCAST_TOKEN or WALCAST_SECRET, or with _FILE the path of a file that has it; ' +
  'on the machine of the node give its database file: no secret is needed there'

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error
}

function isUnknownCertificate(error: unknown): boolean {
  return systemCode(causeOf(error)) === 'DEPTH_ZERO_SELF_SIGNED_CERT'
}

function connectionText({ protocol }: URL, error: unknown): string {
  const cause = causeOf(error)
  const code = systemCode(cause)
  if (isUnknownCertificate(error))
    return 'a node makes its own certificate: the command needs a token or the secret to ask it'
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
export function strangeAnswer(
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

export function beginningOf(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing more'
  const text = plainText(bytes.toString('utf8', 0, 4 * SHOWN_CHARS), SHOWN_CHARS)
  return `"${text}"${bytes.length > SHOWN_CHARS ? '...' : ''}`
}
