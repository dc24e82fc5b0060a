/** What people read when a member of etcd cannot be used, and whether a request was sent to it. */
import { messageOf, systemCode } from '../../../errors.ts'
import { plainText } from '../../../plainText.ts'
import { httpClient } from '../../../platform/httpClient.ts'
import { EtcdRefusal, WrongAnswer } from './etcdAnswers.ts'
import { NoAnswerInTime } from './etcdEndpoint.ts'

const MAX_CHARS = 160
/** So many characters of a secret are taken for it. */
const SHOWN_OF_SECRET = 8
/** Holds a word that is a bad password. */
const WRONG_PASSWORD = 'etcdserver: authentication failed, invalid user ID or password'
const NO_CERTIFICATE = 'it wants another certificate of this node (--election-cert, --election-key)'
const NO_TLS = 'it speaks no TLS'
const ENDED = 'the connection ended before an answer'
const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: ENDED,
  EPIPE: ENDED,
  UND_ERR_SOCKET: ENDED,
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'no way to that host',
  ENETUNREACH: 'no way to that network',
  ENOTFOUND: 'no host has that name',
  EAI_AGAIN: 'the name service does not answer',
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: NO_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: NO_CERTIFICATE,
}
const UNTRUSTED = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_)/
/** No request can have been sent; the same goes for UNTRUSTED. */
const NO_CONNECTION: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
])
/** etcd says so before it proposes anything. */
const NOT_PROPOSED = /no leader|too many requests|not capable|user name is empty|auth token/
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/user name is empty/, ' (it wants --election-user)'],
  [/permission denied/, ' (--election-user wants readwrite below --election-prefix)'],
  [/database space exceeded/, ' (etcdctl compact, defrag, alarm disarm)'],
]

/** `secrets`: what is never shown, whatever the other side has answered. */
export function failureText(error: unknown, secrets: readonly string[] = []): string {
  const shown = plainText(rawText(error), MAX_CHARS)
  return shown.includes(WRONG_PASSWORD) ? shown : secrets.reduce(without, shown)
}

/** The text up to where the secret, which may be cut, begins. */
function without(text: string, secret: string): string {
  const at = secret === '' ? -1 : text.indexOf(secret.slice(0, SHOWN_OF_SECRET))
  return at < 0 ? text : `${text.slice(0, at)}***`
}

/** Whether the request may have been carried out. */
export function mayBeDone(error: unknown): boolean {
  if (error instanceof EtcdRefusal) return !error.isFinal && !NOT_PROPOSED.test(error.reason)
  const code = systemCode(causeOf(error))
  return !NO_CONNECTION.has(code) && !UNTRUSTED.test(code)
}

function rawText(error: unknown): string {
  if (error instanceof EtcdRefusal) {
    const advice = ADVICE.find(([reason]) => reason.test(error.reason))
    return `${error.message}${advice?.[1] ?? ''}`
  }
  if (error instanceof NoAnswerInTime) return error.message
  if (error instanceof WrongAnswer) return `not an answer of etcd: ${error.message}`
  if (error instanceof httpClient().errors.HTTPParserError) return 'its answer is not HTTP'
  const cause = causeOf(error)
  const code = systemCode(cause)
  if (Object.hasOwn(TEXTS, code)) return TEXTS[code]
  if (UNTRUSTED.test(code))
    return `its certificate is not accepted (--election-ca): ${messageOf(cause)}`
  return code || messageOf(cause)
}

/** A name with several addresses has one failure for each: the first tells enough. */
function causeOf(error: unknown): unknown {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof AggregateError && cause.errors.length > 0 ? cause.errors[0] : cause
}
