/** Asks the console of a node as a browser would, header by header. */
import { once } from 'node:events'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestNode } from './testNode.ts'

export interface ConsoleAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export interface ConsoleQuestion {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** `path`: sent as it is. */
export async function askConsole(
  node: Pick<TestNode, 'options'>,
  path: string,
  { method = 'GET', headers = {}, body }: ConsoleQuestion = {},
  where: RequestOptions = { host: '127.0.0.1', port: node.options.port },
): Promise<ConsoleAnswer> {
  // Node sends none with a DELETE by itself.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const asked = request({
    ...where,
    path,
    method,
    headers: { ...headers, ...length },
    agent: false,
  })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, headers: answer.headers, text: await text(answer) }
}

/** What the console's own page sends when it changes something. */
export function pageHeaders(node: Pick<TestNode, 'url'>): Record<string, string> {
  return {
    'content-type': 'application/json',
    'walcast-console': '1',
    'sec-fetch-site': 'same-origin',
    origin: node.url,
  }
}

export const SESSION = '/_walcast/session'

export function login(
  node: Pick<TestNode, 'options' | 'url'>,
  token: string,
  headers: Readonly<Record<string, string>> = pageHeaders(node),
): Promise<ConsoleAnswer> {
  return askConsole(node, SESSION, { method: 'POST', headers, body: JSON.stringify({ token }) })
}

/** The cookie that an answer sets, as a request carries it. */
export function cookieOf({ headers }: ConsoleAnswer): string {
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}
