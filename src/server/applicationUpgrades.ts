/** WebSockets of applications' clients that other nodes forward to this node's application. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WalcastError } from '../errors.ts'
import type { ConnectionBudget } from '../proxy/connectionBudget.ts'
import { fromNode, headerOf, NOT_EXECUTED_HEADER } from '../proxy/headers.ts'
import { RequestBudget } from '../proxy/requestBudget.ts'
import type { Traffic } from '../proxy/traffic.ts'
import { takeUpgrade } from '../proxy/upgradeIntake.ts'
import { refuseUpgrade } from '../proxy/upgradeRelay.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'

export interface ApplicationUpgradesOptions {
  readonly traffic: Pick<Traffic, 'intake' | 'watch' | 'upstream'>
  readonly connections: ConnectionBudget
  /** How many may be open. */
  readonly maxUpgrades: number
  /** How long an upgrade waits for the application. */
  readonly holdMs: number
  /** Id of this node. */
  node(): string
}

export class ApplicationUpgrades {
  readonly #options: ApplicationUpgradesOptions
  /** The HTTP server no longer counts these connections as its own. */
  readonly #open = new Set<Socket>()
  readonly #budget: RequestBudget

  constructor(options: ApplicationUpgradesOptions) {
    this.#options = options
    this.#budget = new RequestBudget(options.maxUpgrades, options.maxUpgrades)
  }

  /** For a request that the intake is to take (`Intake.isFor`). */
  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { traffic, connections, holdMs, node } = this.#options
    const { intake, watch } = traffic
    const sender = senderOf(headerOf(request, REPLICA_AUTH_HEADER))?.node
    const refused = intake.refuse(request, connections)
    if (refused) return refuseUpgrade(socket, refused, {}, { [NOT_EXECUTED_HEADER]: refused.key })
    if (request.method !== 'GET')
      return refuseUpgrade(
        socket,
        new WalcastError('BAD_REQUEST', { detail: 'an upgrade has the method GET' }),
      )
    const crowded = this.#refuseCrowd(sender)
    if (crowded) return refuseUpgrade(socket, crowded)
    connections.upgrade(socket)
    this.#keep(socket, sender)
    const headers = fromNode(request)
    void takeUpgrade(request, socket, head, {
      watch,
      holdMs,
      target: () => ({
        origin: traffic.upstream ?? '',
        path: request.url ?? '/',
        headers,
        node: node(),
        bodyOf: (error) => intake.bodyOf(error),
      }),
      refuseNow: () => intake.refuseNow(request),
    })
  }

  close(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #keep(socket: Socket, sender: string | undefined): void {
    this.#open.add(socket)
    this.#budget.take(sender)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#budget.give(sender)
    })
  }

  /** WebSockets of one node's clients leave room for those of the others. */
  #refuseCrowd(sender: string | undefined): WalcastError | undefined {
    const { maxUpgrades } = this.#options
    if (this.#budget.isSpent) return new WalcastError('TOO_MANY_UPGRADES', { limit: maxUpgrades })
    if (sender === undefined || !this.#budget.isSpentBy(sender)) return undefined
    return new WalcastError('TOO_MANY_UPGRADES', { limit: this.#budget.maxPerOwner })
  }
}
