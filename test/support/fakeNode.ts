/** A fake node that answers leadership requests as the test says. It uses no code of walcast. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'

export interface FakeRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly authorization: string | undefined
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

/** Listens until the test ends. */
export async function fakeNode(
  t: Ending,
  answer: (request: FakeRequest) => FakeAnswer,
): Promise<FakeNode> {
  let port = 0
  const requests = await fakeNodeAt(t, { port, host: '127.0.0.1' }, answer, (address) => {
    port = (address as AddressInfo).port
  })
  return { address: `127.0.0.1:${port}`, requests }
}

/** The same at a place of the test's choice, such as a Unix socket. Gives what it is asked. */
export async function fakeNodeAt(
  t: Ending,
  place: ListenOptions,
  answer: (request: FakeRequest) => FakeAnswer,
  onAddress: (address: AddressInfo | string | null) => void = () => {},
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
      body: text === '' ? {} : JSON.parse(text),
    }
    requests.push(request)
    const { status = 200, body } = answer(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
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
