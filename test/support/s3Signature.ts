/**
 * Signature Version 4 as a server checks it, written from AWS's description and sharing nothing
 * with the signer under test: "Authenticating Requests: Using the Authorization Header" in the API
 * reference of S3.
 */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export interface ReceivedRequest {
  readonly method: string
  /** As it stood in the request line. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface AcceptedKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly region: string
}

const SKEW_MS = 15 * 60_000
const AUTHORIZATION = new RegExp(
  '^AWS4-HMAC-SHA256 Credential=([^/]+)/(\\d{8})/([^/]+)/s3/aws4_request, ' +
    'SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$',
)

/** The code of S3 for what is wrong with a request, or undefined when it is rightly signed. */
export function signatureProblem(
  request: ReceivedRequest,
  keys: AcceptedKeys,
  nowMs: number,
): string | undefined {
  const { headers, body } = request
  const [, id, day, region, names, signature] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (!names) return 'AccessDenied'
  if (id !== keys.accessKeyId) return 'InvalidAccessKeyId'
  if ((headers['x-amz-security-token'] ?? '') !== (keys.sessionToken ?? '')) return 'InvalidToken'
  if (region !== keys.region) return 'AuthorizationHeaderMalformed'
  const signed = names.split(';')
  const mustBeSigned = Object.keys(headers).filter(
    (name) => name === 'host' || name.startsWith('x-amz-') || /^(if-|range$)/.test(name),
  )
  if (mustBeSigned.some((name) => !signed.includes(name))) return 'AccessDenied'
  const time = String(headers['x-amz-date'])
  const atMs = Date.parse(time.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'))
  if (!time.startsWith(day) || !(Math.abs(atMs - nowMs) <= SKEW_MS)) return 'RequestTimeTooSkewed'
  if (headers['x-amz-content-sha256'] !== sha256(body)) return 'XAmzContentSHA256Mismatch'
  const scope = `${day}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical(request, signed))].join('\n')
  const key = ['aws4_request', 's3', region, day].reduceRight<string | Buffer>(
    (above, part) => hmac(above, part),
    `AWS4${keys.secretAccessKey}`,
  )
  return hmac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}

function canonical(
  { method, target, headers }: ReceivedRequest,
  signed: readonly string[],
): string {
  const [path, query = ''] = target.split('?')
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name, value = ''] = pair.split('=')
      return `${encoded(name)}=${encoded(value)}`
    })
  return [
    method,
    path.split('/').map(encoded).join('/'),
    pairs.toSorted().join('&'),
    ...signed.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n')
}

/** Every byte but those that RFC 3986 calls unreserved. */
function encoded(text: string): string {
  return [...Buffer.from(decodeURIComponent(text))]
    .map((byte) => {
      const char = String.fromCharCode(byte)
      return /[A-Za-z0-9._~-]/.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
