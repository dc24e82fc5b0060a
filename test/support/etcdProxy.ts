/** A proxy before one member of etcd, which does to each request what a test says. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `lose`: it is carried out, and the connection ends without an answer. `hang`: neither is. */
export type ProxyFault = 'pass' | 'lose' | 'hang' | 'hang done' | 'cut' | WrongResponse

/** Sent in place of an answer; nothing is carried out. */
export interface WrongResponse {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Several: one after the other; the answer does not end if `endless`. */
  readonly body?: string
  readonly endless?: boolean
}

export interface EtcdProxy {
  readonly origin: string
  /** Paths in the order in which they came. */
  readonly asked: string[]
  /** For each request that comes from now on. */
  fault: (path: string, body: string) => ProxyFault
  /** Ends the connections that are open. */
  cut(): void
}

interface Ending {
  after(end: () => void): void
}

/** `target`: the origin of a member, over HTTP. */
export async function etcdProxy(t: Ending, target: string): Promise<EtcdProxy> {
  const server = createServer((asked, answer) => {
    asked.on('error', () => {})
    answer.on('error', () => {})
    void textIn(asked).then((body) => {
      const path = asked.url ?? ''
      proxy.asked.push(path)
      serve(proxy.fault(path, body), asked, body, answer)
    })
  })
  const serve = (
    fault: ProxyFault,
    asked: IncomingMessage,
    body: string,
    answer: ServerResponse,
  ) => {
    if (fault === 'hang') return
    if (fault === 'cut') answer.destroy()
    else if (typeof fault === 'object') wrong(fault, answer)
    else forward(target, fault, asked, body, answer)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const proxy: EtcdProxy = {
    origin: `http://127.0.0.1:${port}`,
    asked: [],
    fault: () => 'pass',
    cut: () => server.closeAllConnections(),
  }
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return proxy
}

async function textIn(asked: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of asked.setEncoding('utf8')) text += piece
  return text
}

function wrong(
  { status = 200, headers, body = '', endless }: WrongResponse,
  answer: ServerResponse,
) {
  answer.writeHead(status, { 'content-type': 'application/json', ...headers })
  if (!endless) {
    answer.end(body)
    return
  }
  const more = () => {
    while (!answer.destroyed && answer.write(body));
  }
  answer.on('drain', more)
  more()
}

function forward(
  target: string,
  fault: 'pass' | 'lose' | 'hang done',
  asked: IncomingMessage,
  body: string,
  answer: ServerResponse,
) {
  const { method, headers } = asked
  const onward = request(`${target}${asked.url}`, { method, headers, agent: false }, (told) => {
    if (fault === 'pass') {
      answer.writeHead(told.statusCode ?? 0, told.headers)
      told.pipe(answer)
      return
    }
    told.resume()
    told.on('end', () => {
      if (fault === 'lose') answer.destroy()
    })
  })
  onward.on('error', () => answer.destroy())
  answer.on('close', () => onward.destroy())
  onward.end(body)
}
