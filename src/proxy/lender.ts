/**
 * Reads that a leader lends to a replica: its own application accepts no connections, and the
 * replica's does. The request goes to the replica's private side with a token, the leader's
 * incarnation and the position that the answer must be based on. A replica asks its own application
 * or refuses. It never sends such a read on, so none goes in a circle.
 */
import { formatPosition } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { PeerDialer } from '../cluster/peerDialer.ts'
import type { Claims } from '../security/claims.ts'
import { REPLICA_AUTH_HEADER } from '../security/requestSignature.ts'
import type { Client } from './client.ts'
import { deliver } from './delivery.ts'
import {
  type FlatHeaders,
  fromClient,
  LENT_HEADER,
  NOT_EXECUTED_HEADER,
  POSITION_HEADER,
  toNode,
} from './headers.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Answer } from './relayedAnswer.ts'
import { isRead } from './routes.ts'
import { SendError } from './sendError.ts'
import { Upstream } from './upstream.ts'

/** A replica that may answer in place of this leader. */
export interface Lending {
  readonly node: string
  /** HOST:PORT. */
  readonly address: string
}

export interface LenderParts {
  readonly view: DatabaseView
  readonly cookie: PositionCookie
  /** Judges the positions in answers. */
  readonly claims: Claims
  readonly maxConnections: number
  readonly answerTimeoutMs: number
  /** The replicas that are connected to this leader and level with it, as far as it knows. */
  replicas(): readonly Lending[]
  readonly dialer: PeerDialer
  /** The signature of a request that is sent to the node `to` now. */
  sign(method: string, target: string, headers: FlatHeaders, to: Lending): string
}

const CONNECT_TIMEOUT_MS = 500
const IDLE_MS = 10_000
/** Replicas that are asked for one read, one after the other. */
const MAX_TRIES = 3

export class Lender {
  readonly #parts: LenderParts
  readonly #upstreams = new Map<string, Upstream>()

  constructor(parts: LenderParts) {
    this.#parts = parts
  }

  /** `notTaken` when no replica's application answered. Nothing was done then. */
  async lend(client: Client): Promise<'answered' | 'notTaken'> {
    const { view, replicas, cookie, claims } = this.#parts
    if (!isRead(client.method)) return 'notTaken'
    const asked = replicas().slice(0, MAX_TRIES)
    this.#keepOnly(asked.map(({ address }) => address))
    if (asked.length === 0) return 'notTaken'
    const position = await view.settle().catch(() => undefined)
    if (!position) return 'notTaken'
    for (const replica of asked) {
      const answer = await this.#ask(client, replica, formatPosition(position))
      if (client.isGone) return 'answered'
      if (!answer) continue
      const based = claims.positionIn(answer.header(POSITION_HEADER))
      deliver(client, answer, { position: based, isWrite: false }, cookie)
      return 'answered'
    }
    return 'notTaken'
  }

  async close(): Promise<void> {
    await Promise.all([...this.#upstreams.values()].map((upstream) => upstream.close()))
  }

  /**
   * Undefined when the replica's application did not answer. The request only reads, so another one
   * may be asked.
   */
  async #ask(client: Client, replica: Lending, position: string): Promise<Answer | undefined> {
    const { view, sign } = this.#parts
    const { method, target, request, origin } = client
    const { address } = replica
    const headers = toNode(fromClient(request, origin), address, view.incarnation(), origin.address)
    headers.push(LENT_HEADER, position)
    headers.push(REPLICA_AUTH_HEADER, sign(method, target, headers, replica))
    const exchange = this.#upstreamOf(address).send({ method, path: target, headers, body: null })
    client.follow(exchange)
    try {
      const answer = await exchange.answer
      if (answer.header(NOT_EXECUTED_HEADER) === undefined) return answer
      answer.discard()
    } catch (error) {
      if (!(error instanceof SendError)) throw error
    }
    client.follow(undefined)
    return undefined
  }

  #upstreamOf(address: string): Upstream {
    const known = this.#upstreams.get(address)
    if (known) return known
    const { maxConnections, answerTimeoutMs, dialer } = this.#parts
    const made = new Upstream({
      origin: `http://${address}`,
      ...(dialer.isOpen ? {} : { dial: () => dialer.dial(address, CONNECT_TIMEOUT_MS) }),
      maxConnections,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs,
      idleMs: IDLE_MS,
    })
    this.#upstreams.set(address, made)
    return made
  }

  #keepOnly(addresses: readonly string[]): void {
    for (const [address, upstream] of this.#upstreams) {
      if (addresses.includes(address)) continue
      this.#upstreams.delete(address)
      void upstream.drain()
    }
  }
}
