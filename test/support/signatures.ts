/** Requests that a test signs, as a node or as the command line. */
import { Agent, fetch as fetchWith } from 'undici'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import {
  NO_BODY,
  REPLICA_AUTH_HEADER,
  type RequestToSign,
  sha256,
  signRequest,
} from '../../src/security/requestSignature.ts'

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
  const answer = await fetchAny(`${url}/leader`, { headers, ...(signal ? { signal } : {}) })
  const { node, timeMs } = Object(await answer.json())
  return { node, timeMs }
}

/** Nodes have certificates that only nodes know. */
export const anyCertificate = new Agent({ connect: { rejectUnauthorized: false } })

/** `fetch`, also from a node that takes only TLS. */
export function fetchAny(url: string, request: RequestInit = {}): Promise<Response> {
  if (!url.startsWith('https:')) return fetch(url, request)
  const given = { ...request, dispatcher: anyCertificate } as Parameters<typeof fetchWith>[1]
  return fetchWith(url, given) as unknown as Promise<Response>
}

export interface OperatorRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

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
  request: OperatorRequest = {},
): Promise<Response> {
  return fetchAny(`${url}${path}`, {
    ...request,
    headers: await operatorHeaders(secret, url, path, request),
  })
}
