/** Requests that a test signs, as a node or as the command line. */
import type { fetch as AnyFetch } from 'undici'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import {
  NO_BODY,
  REPLICA_AUTH_HEADER,
  type RequestToSign,
  sha256,
  signRequest,
} from '../../src/security/requestSignature.ts'
import { anyCertificate, type HttpRequest, request } from './httpRequest.ts'

/** What a signature says; what is left out is that of a GET of the command line, now. */
export type Claim = Partial<RequestToSign> & Pick<RequestToSign, 'purpose' | 'path' | 'to'>

/** The value of `X-Replica-Auth`. `secret`: '' for that of an open cluster. */
export function signatureOf(secret: string, claim: Claim): string {
  return signRequest(new ClusterSecrets(secret === '' ? [] : [secret]), {
    method: 'GET',
    from: 'cli',
    epoch: 0,
    nowMs: Date.now(),
    body: NO_BODY,
    headers: [],
    ...claim,
  })
}

/** A node as it tells who it is, to everybody who asks. */
export interface Receiver {
  readonly node: string
  /** Reading of its clock. */
  readonly timeMs: number
}

export async function receiverAt(url: string, signal?: AbortSignal): Promise<Receiver> {
  // That of nodes: the application's own questions look otherwise.
  const headers = { 'user-agent': 'walcast' }
  const { body } = await request(`${url}/leader`, {
    headers,
    ...(signal ? { signal } : {}),
  })
  const { node, timeMs } = Object(await body.json())
  return { node, timeMs }
}

/** `fetch`, also from a node that takes only TLS. */
export async function fetchAny(url: string, given: RequestInit = {}): Promise<Response> {
  if (!url.startsWith('https:')) return fetch(url, given)
  const { fetch: fetchWith } = await import('undici')
  const all = { ...given, dispatcher: anyCertificate } as Parameters<typeof AnyFetch>[1]
  return (await fetchWith(url, all)) as unknown as Response
}

export type OperatorRequest = HttpRequest

/** Headers with which the node at `url` takes a request as one of the command line. */
export async function operatorHeaders(
  secret: string,
  url: string,
  path: string,
  { method = 'GET', headers = {}, body, signal }: OperatorRequest = {},
): Promise<Record<string, string>> {
  const { node: to, timeMs: nowMs } = await receiverAt(url, signal)
  const digest = body === undefined ? NO_BODY : sha256(body)
  const claim = { purpose: 'order', method, path, to, nowMs, body: digest } as const
  const covered = Object.entries(headers).flat()
  return { ...headers, [REPLICA_AUTH_HEADER]: signatureOf(secret, { ...claim, headers: covered }) }
}

/** A request to the private side of a node, signed as the command line signs. */
export async function operatorFetch(
  secret: string,
  url: string,
  path: string,
  given: OperatorRequest = {},
): Promise<Response> {
  return fetchAny(`${url}${path}`, {
    ...given,
    headers: await operatorHeaders(secret, url, path, given),
  })
}
