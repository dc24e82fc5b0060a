/**
 * Requests to whichever member of etcd answers. One is used while it answers; when it fails, the
 * request goes to the next at once, within the time of the same call. A member that hangs costs a
 * part of that time. A refusal that any member would repeat ends the call.
 *
 * With a user it authenticates first, and again when a member does not know the token any more.
 *
 * All members must belong to one cluster of etcd: two clusters would let two nodes lead. One that
 * was restored from a snapshot has another id. It is believed from the next call on, if no member
 * answers with the old one.
 */
import { WalcastError } from '../../../errors.ts'
import { monotonicMs } from '../../../platform/time.ts'
import {
  clusterOf,
  type EtcdMessage,
  EtcdRefusal,
  NoGateway,
  OtherCluster,
  readToken,
} from './etcdAnswers.ts'
import {
  type EtcdCertificates,
  EtcdConnections,
  type EtcdRequest,
  type EtcdStream,
} from './etcdEndpoint.ts'
import { failureText, mayBeDone } from './etcdFailures.ts'

export interface EtcdUser {
  readonly name: string
  readonly password: string
}

export interface EtcdGatewaySetup {
  /** Origins of its members. */
  readonly endpoints: readonly string[]
  readonly certificates: EtcdCertificates
  readonly user: EtcdUser | undefined
  /** For a whole call, ms. */
  readonly timeoutMs: number
}

export interface EtcdAnswer {
  /** At least one. */
  readonly messages: readonly EtcdMessage[]
  /** When the request was sent that was answered; by the monotonic clock. */
  readonly sentMs: number
  /** An earlier attempt of this call may have been carried out, or may be later. */
  readonly isRepeated: boolean
}

const STALE_TOKEN = /invalid auth token|revision of auth store is old/
const DENIED = /permission denied|user name is empty/
const CLOSED = 'this node has closed its connections'
const NO_AUTH = /authentication is not enabled/

export class EtcdGateway {
  /** For people, and for `service` of errors. */
  readonly name: string
  readonly #setup: EtcdGatewaySetup
  readonly #connections: EtcdConnections
  #preferred = 0
  /** Aborts when the preferred member is no longer preferred, or has failed. */
  #stay = new AbortController()
  /** '': etcd asks for none. Undefined: not known. */
  #token: string | undefined
  #cluster: string | undefined

  constructor(setup: EtcdGatewaySetup) {
    this.#setup = setup
    this.name = `etcd at ${setup.endpoints.map((url) => new URL(url).origin).join(', ')}`
    this.#token = setup.user ? undefined : ''
    this.#connections = new EtcdConnections(setup.certificates, setup.timeoutMs)
  }

  get isClosed(): boolean {
    return this.#connections.isClosed
  }

  /** When a call that begins now has to end, by the monotonic clock. */
  deadlineMs(): number {
    return monotonicMs() + this.#setup.timeoutMs
  }

  /** Throws EtcdRefusal for one that is final, else ELECTION_AWAY. */
  async call(request: EtcdRequest, untilMs = this.deadlineMs()): Promise<EtcdAnswer> {
    const { endpoints } = this.#setup
    const first = this.#preferred
    const failures: string[] = []
    const others = new Set<string>()
    let isRepeated = false
    for (let tried = 0; tried < endpoints.length && !this.isClosed; tried++) {
      const at = (first + tried) % endpoints.length
      const nowMs = monotonicMs()
      if (nowMs >= untilMs) break
      const partMs = (untilMs - nowMs) / Math.min(2, endpoints.length - tried)
      try {
        const answer = await this.#attempt(endpoints[at], request, nowMs + partMs)
        return { ...answer, isRepeated }
      } catch (error) {
        if (error instanceof EtcdRefusal && error.isFinal) throw error
        if (error instanceof OtherCluster) others.add(error.cluster)
        failures.push(`${this.textOf(error)} at ${endpoints[at]}`)
        isRepeated ||= mayBeDone(error)
        this.#leave(at)
      }
    }
    if (others.size === 1) [this.#cluster] = others
    throw this.away(this.isClosed ? CLOSED : failures.join('; ') || 'no time is left')
  }

  /** The messages of each member, or its failure, in their order. Without authentication. */
  askAll(request: EtcdRequest): Promise<(EtcdMessage[] | Error)[]> {
    const untilMs = this.deadlineMs()
    return Promise.all(
      this.#setup.endpoints.map((endpoint) =>
        this.#connections.send(endpoint, request, '', untilMs).catch((error: unknown) => {
          const text = `${this.textOf(error)} at ${endpoint}`
          return error instanceof NoGateway ? error : new Error(text, { cause: error })
        }),
      ),
    )
  }

  /** The member that calls go to first, and a signal that aborts when they no longer do. */
  get preferred(): { readonly at: number; readonly left: AbortSignal } {
    return { at: this.#preferred, left: this.#stay.signal }
  }

  /**
   * Opens a stream at the member with that number. Throws EtcdRefusal, WrongAnswer, and what the
   * connection throws.
   */
  async stream(at: number, request: EtcdRequest, signal: AbortSignal): Promise<EtcdStream> {
    const { endpoints } = this.#setup
    const endpoint = endpoints[at % endpoints.length]
    const token = this.#token ?? (await this.#authenticate(endpoint, this.deadlineMs()))
    return this.#connections.stream(endpoint, request, token, signal)
  }

  /** After a failure: gets another token if that was the reason. */
  renewTokenAfter(error: unknown): void {
    if (this.#isStale(error, this.#token ?? '')) this.#token = undefined
  }

  away(detail: string, cause?: unknown): WalcastError {
    return new WalcastError('ELECTION_AWAY', { service: this.name, detail }, cause)
  }

  /** A failure, for people; without secrets. */
  textOf(error: unknown): string {
    return failureText(error, [this.#setup.user?.password ?? '', this.#token ?? ''])
  }

  async close(): Promise<void> {
    this.#stay.abort()
    await this.#connections.close()
  }

  async #attempt(
    endpoint: string,
    request: EtcdRequest,
    untilMs: number,
  ): Promise<Omit<EtcdAnswer, 'isRepeated'>> {
    for (let isSecond = false; ; isSecond = true) {
      const token = this.#token ?? (await this.#authenticate(endpoint, untilMs))
      const sentMs = monotonicMs()
      try {
        const messages = await this.#connections.send(endpoint, request, token, untilMs)
        for (const message of messages) this.#requireCluster(clusterOf(message))
        return { messages, sentMs }
      } catch (error) {
        if (isSecond || !this.#isStale(error, token)) throw error
        // Another call may have a new one by now.
        if (this.#token === token) this.#token = undefined
      }
    }
  }

  async #authenticate(endpoint: string, untilMs: number): Promise<string> {
    const { name, password } = this.#setup.user ?? { name: '', password: '' }
    const body = JSON.stringify({ name, password })
    const request = { path: '/v3/auth/authenticate', body }
    try {
      const [message] = await this.#connections.send(endpoint, request, '', untilMs)
      this.#token = readToken(message)
    } catch (error) {
      // As etcd's own client does: it goes on when an operator turns authentication off.
      if (!(error instanceof EtcdRefusal && NO_AUTH.test(error.reason))) throw error
      this.#token = ''
    }
    return this.#token
  }

  /** Without a token, a user who may do everything is denied it. */
  #isStale(error: unknown, token: string): boolean {
    if (this.#setup.user === undefined || !(error instanceof EtcdRefusal)) return false
    return (token === '' ? DENIED : STALE_TOKEN).test(error.reason)
  }

  /** Calls go to the next member first, unless they do already. */
  #leave(at: number): void {
    if (at !== this.#preferred) return
    this.#preferred = (at + 1) % this.#setup.endpoints.length
    this.#stay.abort()
    this.#stay = new AbortController()
  }

  #requireCluster(cluster: string): void {
    this.#cluster ??= cluster
    if (cluster !== this.#cluster) throw new OtherCluster(cluster, this.#cluster)
  }
}
