/**
 * One request to an S3 store, signed with Signature Version 4. The signature covers method, path,
 * query, every header that changes what is done, and the digest of the body.
 *
 * aws4fetch computes it: it is small, has no dependencies, is used widely, and its signer can be
 * had without its way to send and to try again, which walcast bounds itself. s3mini joins the two,
 * and the SDK of AWS sends checksums that other stores do not know. It is loaded with the first
 * request, since most nodes never make one.
 */
import { httpClient } from '../../../platform/httpClient.ts'
import { timeLimit } from '../../../platform/time.ts'
import { type Answer, readAnswer } from './answer.ts'
import type { S3Keys } from './credentials.ts'
import { encodePart, type S3Place, urlOf } from './place.ts'

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Of an object; '' for the bucket. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** The most bytes of the body of an answer that is no failure; 0 unless given. */
  readonly maxBytes?: number
}

export interface SignedRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export type Dispatcher = InstanceType<ReturnType<typeof httpClient>['Agent']>

const EMPTY = new Uint8Array()
/** Few at once: an archive is written and read one file after another. */
const MAX_CONNECTIONS = 8

/**
 * Connections of one store. They do not keep the process alive. The limit of each request bounds
 * all waits but the one for a connection.
 */
export function newConnections(connectMs: number): Dispatcher {
  return new (httpClient().Agent)({
    connections: MAX_CONNECTIONS,
    connect: { timeout: connectMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}

/** `atMs`: the time of the signature, in milliseconds since 1970. */
export async function signRequest(
  { method, key, query = {}, headers = {}, body }: S3Request,
  place: S3Place,
  keys: S3Keys,
  atMs: number,
): Promise<SignedRequest> {
  const { AwsV4Signer } = await import('aws4fetch')
  const search = Object.entries(query)
    .map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`)
    .join('&')
  const signer = new AwsV4Signer({
    method,
    url: `${urlOf(place, key)}${search && `?${search}`}`,
    headers: { ...headers, 'x-amz-content-sha256': await sha256(body ?? EMPTY) },
    accessKeyId: keys.accessKeyId,
    secretAccessKey: keys.secretAccessKey,
    ...(keys.sessionToken === undefined ? {} : { sessionToken: keys.sessionToken }),
    service: 's3',
    region: place.region,
    datetime: timeText(atMs),
    allHeaders: true,
  })
  const signed = await signer.sign()
  return { url: signed.url.href, headers: Object.fromEntries(signed.headers) }
}

/**
 * Sends it once. Rejects when no whole answer has come within `limitMs`, and with an AnswerTooLong.
 * A redirect is an answer: a request whose signature is for one place is sent to no other.
 */
export async function sendRequest(
  { method, body, maxBytes = 0 }: S3Request,
  { url, headers }: SignedRequest,
  dispatcher: Dispatcher,
  limitMs: number,
): Promise<Answer> {
  const {
    statusCode,
    headers: answered,
    body: stream,
  } = await httpClient().request(url, {
    method,
    // Not signed: proxies change it. What comes is never unpacked, whatever it says it is.
    headers: { ...headers, 'accept-encoding': 'identity' },
    body: body ?? null,
    dispatcher,
    signal: timeLimit(limitMs),
  })
  return readAnswer(method, statusCode, answered, stream, maxBytes)
}

/** Does not hold up the thread, which may be that of a node: a part takes tens of milliseconds. */
async function sha256(content: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', content)).toString('hex')
}

/** `20130524T000000Z` */
function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace(/[:-]|\.\d{3}/g, '')
}
