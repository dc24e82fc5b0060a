/**
 * A Consul agent in memory, for tests: sessions, keys, transactions and blocking queries as Consul
 * documents them (https://developer.hashicorp.com/consul/api-docs), with the words of its source
 * where it tells things in words only.
 *
 * It stands in for Consul itself, which neither Debian 12 nor a package registry ships. What was
 * taken from Consul's source: a session ends at twice its TTL; a write of what is there already
 * changes no index; names of keys and their endings are checked in paths, not in transactions; keys
 * that a token may not read are left out of lists without a word; 409 tells both of conditions and
 * of rights.
 */
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ConsulStore, millis, type Operation, type Session } from './consulStore.ts'

interface Ending {
  after(end: () => void | Promise<void>): void
}

/** What happens to one request. */
export type ConsulFault =
  /** Nothing comes, and nothing was done. */
  | 'silence'
  /** The connection ends, and nothing was done. */
  | 'cut'
  /** It is done, and the connection ends without an answer. */
  | 'lost answer'
  /** This answer, and nothing was done. */
  | { readonly status: number; readonly body: string }

export interface ConsulBehaviour {
  /** `session_ttl_min`, 10 s in Consul. */
  leastTtlMs: number
  /** Without a leader of its own every request fails. */
  hasLeader: boolean
  /** The one that may read, write and make sessions; undefined when all may. */
  token: string | undefined
  fault: (method: string, url: URL) => ConsulFault | undefined
  /** Gives an answer another index than its own. */
  index: (index: number) => string
  /** Spoils what a session is kept as. */
  kept: (session: Omit<Session, 'ID'>) => Omit<Session, 'ID'>
  /** As for a token that may write keys and not read them. */
  hidesKeys: boolean
  /** Keeps what a transaction did before the operation that failed. */
  isTorn: boolean
}

interface Reply {
  readonly status: number
  readonly body: unknown
  readonly index?: number
}

const BAD_NAME = /[^A-Za-z0-9,\-_./]|\.\.\/|\.(?:com|exe|html|js|json|txt)$/

export class ConsulServer {
  readonly behaviour: ConsulBehaviour = {
    leastTtlMs: 10_000,
    hasLeader: true,
    token: undefined,
    fault: () => undefined,
    index: String,
    kept: (session) => session,
    hidesKeys: false,
    isTorn: false,
  }
  /** `PUT txn`, in the order in which they came. */
  readonly log: string[] = []
  readonly tokens: (string | undefined)[] = []
  readonly #server: Server
  readonly #tls: boolean
  readonly #store = new ConsulStore(() => this.#answerWaiting())
  readonly #waiting = new Set<() => void>()
  readonly #events = new EventEmitter()
  #isQuiet = true

  private constructor(tls: ServerOptions | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#handle(request, response).catch(() => response.destroy())
    this.#tls = tls !== undefined
    this.#server = tls ? createTlsServer(tls, answer) : createServer(answer)
  }

  static async start(t: Ending, tls?: ServerOptions): Promise<ConsulServer> {
    const server = new ConsulServer(tls)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    t.after(() => server.stop())
    return server
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `${this.#tls ? 'https' : 'http'}://127.0.0.1:${port}`
  }

  get sessions(): ReadonlyMap<string, Session> {
    return this.#store.sessions
  }

  /** Of the last change of all. */
  get index(): number {
    return this.#store.indexOf(() => true)
  }

  /** The text of a key; undefined when there is none. */
  textOf(key: string): string | undefined {
    const entry = this.#store.entries.find(({ Key }) => Key === key)
    return entry && Buffer.from(entry.Value ?? '', 'base64').toString()
  }

  keys(): string[] {
    return this.#store.entries.map(({ Key }) => Key).sort()
  }

  /** As an operator with `consul kv delete`. */
  remove(key: string): void {
    this.#store.remove(key)
  }

  /** As an operator with `consul session destroy`. */
  endSession(id: string): void {
    this.#store.end(id)
  }

  /** As when it is restored from a snapshot of long ago. */
  restartEmpty(): void {
    this.#store.clear()
    this.wakeAll()
  }

  /** As when gossip takes the agent's machine for dead. */
  failHealthChecks(): void {
    for (const { ID, NodeChecks } of [...this.sessions.values()])
      if (NodeChecks.length > 0) this.#store.end(ID)
  }

  /** Answers what waits for changes, though there is none. */
  wakeAll(): void {
    this.#isQuiet = false
    this.#answerWaiting()
    this.#isQuiet = true
  }

  /** Once a request waits for changes. */
  async waits(): Promise<void> {
    if (this.#waiting.size === 0) await once(this.#events, 'wait')
  }

  stop(): Promise<void> {
    this.#store.stop()
    this.wakeAll()
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://consul')
    const method = request.method ?? ''
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    this.log.push(`${method} ${url.pathname.slice('/v1/'.length)}`)
    const token = request.headers['x-consul-token']
    this.tokens.push(typeof token === 'string' ? token : undefined)
    const fault = this.behaviour.fault(method, url)
    if (fault === 'silence') return
    if (fault === 'cut') return void response.destroy()
    if (typeof fault === 'object') return void response.writeHead(fault.status).end(fault.body)
    const isKnown = this.behaviour.token === undefined || token === this.behaviour.token
    const body: unknown =
      pieces.length === 0 ? undefined : JSON.parse(Buffer.concat(pieces).toString())
    const reply = this.behaviour.hasLeader
      ? await this.#reply(method, url, body, isKnown)
      : { status: 500, body: 'No cluster leader' }
    if (fault === 'lost answer') return void response.destroy()
    const headers =
      reply.index === undefined ? {} : { 'x-consul-index': this.behaviour.index(reply.index) }
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
    response.writeHead(reply.status, headers).end(text)
  }

  async #reply(method: string, url: URL, body: unknown, isKnown: boolean): Promise<Reply> {
    const path = decodeURIComponent(url.pathname.slice('/v1/'.length))
    const name = path.split('/').slice(2).join('/')
    if (method === 'GET' && path.startsWith('kv/')) return this.#read(path.slice(3), url, isKnown)
    if (method === 'PUT' && path === 'txn') return this.#transaction(body as never, isKnown)
    if (!path.startsWith('session/')) return { status: 404, body: '' }
    if (!isKnown) return { status: 403, body: 'Permission denied: session:write' }
    if (path === 'session/create') return this.#create(body as never)
    const session = this.sessions.get(name)
    if (path.startsWith('session/info/')) return { status: 200, body: session ? [session] : [] }
    if (path.startsWith('session/destroy/')) {
      this.#store.end(name)
      return { status: 200, body: true }
    }
    if (!session) return { status: 404, body: `Session id '${name}' not found` }
    this.#store.renew(session)
    return { status: 200, body: [session] }
  }

  #create(asked: Record<string, unknown>): Reply {
    const ttlMs = millis(String(asked['TTL']))
    const { leastTtlMs } = this.behaviour
    if (ttlMs < leastTtlMs) {
      const bounds = `[${leastTtlMs / 1000}s=24h0m0s]`
      const detail = `Invalid Session TTL '${ttlMs * 1e6}', must be between ${bounds}`
      return { status: 500, body: `rpc error making call: ${detail}` }
    }
    const checks = (asked['NodeChecks'] ?? asked['Checks'] ?? ['serfHealth']) as string[]
    const session = this.#store.begin(
      this.behaviour.kept({
        Name: String(asked['Name'] ?? ''),
        TTL: String(asked['TTL']),
        Behavior: String(asked['Behavior'] ?? 'release'),
        LockDelay: millis(String(asked['LockDelay'] ?? '15s')) * 1e6,
        NodeChecks: checks,
      }),
    )
    return { status: 200, body: { ID: session.ID } }
  }

  async #read(key: string, url: URL, isKnown: boolean): Promise<Reply> {
    if (BAD_NAME.test(key)) return { status: 400, body: 'key contains invalid character' }
    const isList = url.searchParams.has('recurse')
    const matches = (name: string) => (isList ? name.startsWith(key) : name === key)
    const indexNow = () => this.#store.indexOf(matches)
    const since = Number(url.searchParams.get('index') ?? 0)
    if (since > 0 && indexNow() <= since) await this.#change(url, () => indexNow() > since)
    if (!this.behaviour.hasLeader) return { status: 500, body: 'No cluster leader' }
    const found = this.#store.entries.filter(({ Key }) => matches(Key))
    if (!isKnown && !isList) return { status: 403, body: 'Permission denied' }
    const shown = isKnown && !this.behaviour.hidesKeys ? found : []
    return { status: shown.length ? 200 : 404, body: shown.length ? shown : '', index: indexNow() }
  }

  #change(url: URL, isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = () => (isSo() || !this.#isQuiet ? end() : undefined)
      const timer = setTimeout(end, millis(url.searchParams.get('wait') ?? '5m'))
      this.#waiting.add(look)
      this.#events.emit('wait')
    })
  }

  #transaction(operations: readonly { readonly KV: Operation }[], isKnown: boolean): Reply {
    const denied = operations.map((_, OpIndex) => ({ OpIndex, What: 'Permission denied' }))
    if (!isKnown) return { status: 409, body: { Results: null, Errors: denied } }
    const { results, errors } = this.#store.transact(operations, this.behaviour.isTorn)
    return errors.length > 0
      ? { status: 409, body: { Results: null, Errors: errors } }
      : { status: 200, body: { Results: results, Errors: null } }
  }

  #answerWaiting(): void {
    for (const look of [...this.#waiting]) look()
  }
}
