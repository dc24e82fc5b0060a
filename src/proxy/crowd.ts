/**
 * Who may come in at the public side when many want to. Own paths (health) are answered whatever
 * else is full. Requests and upgraded connections have a budget each, of which no single client
 * gets more than its share. When all requests are taken, the one whose client is still for longest
 * gives way.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { WalcastError } from '../errors.ts'
import { type ErrorBody, sendFailure } from './answer.ts'
import type { Client } from './client.ts'
import type { Origin, TrustedProxies } from './clientAddress.ts'
import { ConnectionBudget, type ConnectionLimits, type Cut } from './connectionBudget.ts'
import { RequestBudget } from './requestBudget.ts'

export interface CrowdLimits extends ConnectionLimits {
  readonly maxRequests: number
  readonly maxUpgrades: number
  /** Requests under way of one client; the same number of upgraded connections. */
  readonly maxClientRequests: number
}

export interface CrowdHost {
  onCut(why: Cut): void
  /** What a client may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
}

export class Crowd {
  readonly #limits: CrowdLimits
  readonly #proxies: TrustedProxies
  readonly #connections: ConnectionBudget
  readonly #requests: RequestBudget
  readonly #upgrades: RequestBudget

  constructor(limits: CrowdLimits, proxies: TrustedProxies, host: CrowdHost) {
    const { maxRequests, maxUpgrades, maxClientRequests } = limits
    this.#limits = limits
    this.#proxies = proxies
    this.#requests = new RequestBudget(maxRequests, maxClientRequests)
    this.#upgrades = new RequestBudget(maxUpgrades, maxClientRequests)
    this.#connections = new ConnectionBudget(limits, {
      clientAt: (address) => proxies.clientAt(address),
      onCut: (why) => host.onCut(why),
      refuse: (response, error) =>
        void sendFailure(
          response,
          error,
          () => {},
          (known) => host.bodyOf(known),
        ),
    })
  }

  get connections(): number {
    return this.#connections.size
  }

  get upgraded(): number {
    return this.#upgrades.total
  }

  attach(server: Server): void {
    this.#connections.attach(server)
  }

  /** The node stops: connections on which nothing ever came are closed. */
  closeUnused(): void {
    this.#connections.closeUnused()
  }

  originOf(request: IncomingMessage): Origin {
    return this.#proxies.originOf(request)
  }

  /**
   * Whether the client sends requests faster than it can read their answers. Its connection is cut
   * then.
   */
  overflows(socket: Socket): boolean {
    return this.#connections.overflows(socket)
  }

  /**
   * A request has come. Returns why it may ask for health only; undefined when it may ask for
   * anything.
   */
  arrive(response: ServerResponse): WalcastError | undefined {
    return this.#connections.arrive(response)
  }

  /** Its answer is over. */
  leave(response: ServerResponse): void {
    this.#connections.leave(response)
  }

  /**
   * Lets a request in. Call what this returns once it is over. Throws TOO_MANY_FROM_CLIENT or
   * TOO_MANY_REQUESTS.
   */
  admit({ origin }: Pick<Client, 'origin'>): () => void {
    const { maxRequests: limit } = this.#limits
    const { client } = origin
    if (client !== undefined && this.#requests.isSpentBy(client))
      throw tooMany(client, this.#requests.maxPerOwner, 'requests under way')
    if (this.#requests.isSpent && !this.#connections.giveWay())
      throw new WalcastError('TOO_MANY_REQUESTS', { limit })
    this.#requests.take(client)
    return () => this.#requests.give(client)
  }

  /**
   * Lets an upgraded connection in, until it closes. Throws TOO_MANY_FROM_CLIENT, TOO_MANY_UPGRADES
   * or TOO_MANY_CONNECTIONS.
   */
  admitUpgrade(request: IncomingMessage, socket: Socket): void {
    const { maxUpgrades: limit } = this.#limits
    const { client } = this.originOf(request)
    if (client !== undefined && this.#upgrades.isSpentBy(client))
      throw tooMany(client, this.#upgrades.maxPerOwner, 'upgraded connections')
    if (this.#upgrades.isSpent) throw new WalcastError('TOO_MANY_UPGRADES', { limit })
    const refused = this.#connections.upgrade(socket)
    if (refused) throw refused
    this.#upgrades.take(client)
    socket.once('close', () => this.#upgrades.give(client))
  }
}

function tooMany(client: string, limit: number, what: string): WalcastError {
  return new WalcastError('TOO_MANY_FROM_CLIENT', { limit, what, client })
}
