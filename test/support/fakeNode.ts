/** A fake node that answers leadership requests as the test says. It uses no code of walcast. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { fakeProof } from './fakeProof.ts'

export interface FakeRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly authorization: string | undefined
  /** The value of `X-Replica-Auth`. */
  readonly signature: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

export interface FakeAnswer {
  readonly status?: number
  readonly body: object
}

export interface FakeNode {
  readonly address: string
  readonly requests: FakeRequest[]
}

interface Ending {
  after(end: () => void): void
}

/** How a fake node proves to be one of the cluster with this secret. */
export interface FakeIdentity {
  readonly secret: string
  readonly node: string
}

/**
 * Listens until the test ends. `identity`: it proves its answers, and answers questions for nothing
 * but the proof by itself.
 */
export async function fakeNode(
  t: Ending,
  answer: (request: FakeRequest) => FakeAnswer,
  identity?: FakeIdentity,
): Promise<FakeNode> {
  let port = 0
  const place = { port, host: '127.0.0.1' }
  const onAddress = (address: AddressInfo | string | null) => {
    port = (address as AddressInfo).port
  }
  const requests = await fakeNodeAt(t, place, answer, onAddress, identity)
  return { address: `127.0.0.1:${port}`, requests }
}

/** The same at a place of the test's choice, such as a Unix socket. Gives what it is asked. */
export async function fakeNodeAt(
  t: Ending,
  place: ListenOptions,
  answer: (request: FakeRequest) => FakeAnswer,
  onAddress: (address: AddressInfo | string | null) => void = () => {},
  identity?: FakeIdentity,
): Promise<FakeRequest[]> {
  const requests: FakeRequest[] = []
  const server = createServer(async (raw, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of raw) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    const request: FakeRequest = {
      method: raw.method ?? '',
      path: raw.url ?? '',
      authorization: raw.headers.authorization,
      signature: raw.headers['x-replica-auth']?.toString(),
      body: text === '' ? {} : JSON.parse(text),
    }
    const isForProof = identity !== undefined && request.path === '/_walcast/proof'
    if (!isForProof) requests.push(request)
    const { status = 200, body } = isForProof ? { body: { node: identity.node } } : answer(request)
    const sent = JSON.stringify(body)
    const challenge = raw.headers['walcast-challenge']?.toString()
    if (identity && challenge !== undefined) {
      const { method, path } = request
      const proof = fakeProof({ ...identity, challenge, method, path, status, body: sent })
      response.setHeader('walcast-proof', proof)
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(sent)
  })
  server.listen(place)
  await once(server, 'listening')
  onAddress(server.address())
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return requests
}

/** The answer of a node that refuses. */
export function refusal(
  key: string,
  status: number,
  message: string,
  more: object = {},
): FakeAnswer {
  return {
    status,
    body: { code: `WALCAST_${key}`, message, cure: 'as the catalogue says', ...more },
  }
}
