/**
 * Requests of tests, by those parts of undici that requests need. To load all of it takes a tenth
 * of a second of processor time, which each test process would spend.
 */
import { createRequire } from 'node:module'
import type { Agent as AnyAgent, Client as AnyClient, Dispatcher } from 'undici'

const load = createRequire(import.meta.url)
const Agent: typeof AnyAgent = load('undici/lib/dispatcher/agent.js')
export const Client: typeof AnyClient = load('undici/lib/dispatcher/client.js')
export type Client = AnyClient
const AnyDispatcher: typeof Dispatcher = load('undici/lib/dispatcher/dispatcher.js')
// As undici's own index does.
Object.assign(AnyDispatcher.prototype, load('undici/lib/api/index.js'))

const plain = new Agent()
/** Nodes have certificates that only nodes know. */
export const anyCertificate = new Agent({ connect: { rejectUnauthorized: false } })

export interface HttpRequest {
  readonly method?: Dispatcher.HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

/** Not fetch, which repeats a request on 421: a signature is valid once. */
export function request(url: string, given: HttpRequest = {}): Promise<Dispatcher.ResponseData> {
  const { protocol, origin, pathname, search } = new URL(url)
  const dispatcher = protocol === 'https:' ? anyCertificate : plain
  const { method = 'GET', headers = {}, body = null, signal = null } = given
  const path = `${pathname}${search}`
  return dispatcher.request({ origin, path, method, headers, body, signal })
}
