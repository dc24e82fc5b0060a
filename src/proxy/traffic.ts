/**
 * The requests of a node's application: where they come in, and what a change of role means to
 * them. The parts that answer them are put together in `requestParts.ts`.
 */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type Databases, onlyDatabase } from '../api/databases.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import { applicationOf, type LeaderApplication } from '../cluster/peerApplication.ts'
import type { WalcastError } from '../errors.ts'
import { addressOf, ownAddress, reachableAddress } from '../options/address.ts'
import type { AckWaits } from './ackWaits.ts'
import type { ErrorBody } from './answer.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { type Origin, TrustedProxies } from './clientAddress.ts'
import type { Cut } from './connectionBudget.ts'
import type { Consistency } from './consistency.ts'
import { Crowd } from './crowd.ts'
import type { CurrentApplication } from './currentApplication.ts'
import { drainWithin } from './drainDeadline.ts'
import type { FailedReads } from './failedReads.ts'
import { HiddenErrors } from './hiddenErrors.ts'
import type { IdempotencyStore } from './idempotencyStore.ts'
import type { Intake } from './intake.ts'
import type { LeaderSide } from './leaderSide.ts'
import type { Passes } from './passes.ts'
import type { NodeTraffic } from './pluginNode.ts'
import type { PositionCookie } from './positionCookie.ts'
import { ProxyServer } from './proxyServer.ts'
import { asTold, publicBody } from './publicErrors.ts'
import type { RemoteLeader } from './remoteLeader.ts'
import type { Bodies } from './replayableBody.ts'
import type { ReplicaSide } from './replicaSide.ts'
import { RequestParts, type RequestPartsNeeds } from './requestParts.ts'
import type { Routes } from './routes.ts'
import type { WriteGate } from './writeGate.ts'

export interface TrafficParts extends Omit<RequestPartsNeeds, 'view' | 'waits'> {
  /** One of them today, which the application uses. */
  readonly databases: Databases
  /** This node ended a client's connection before the client wanted that. */
  readonly onCut: (why: Cut) => void
}

/** What the node's requests tell besides. */
export interface TrafficEvents {
  /** A program at `remoteAddress` asked this node's private side for its role. */
  roleAsked: [remoteAddress: string]
}

/** Share of the time that a stop may take, for requests under way; the rest is for the engine. */
const DRAIN_SHARE = 0.7

export class Traffic implements NodeTraffic {
  readonly events = new EventEmitter<TrafficEvents>()
  readonly view: DatabaseView
  readonly crowd: Crowd
  readonly routes: Routes
  readonly bodies: Bodies
  readonly cookie: PositionCookie
  readonly consistency: Consistency
  readonly answers: IdempotencyStore
  readonly admission: WriteGate
  readonly acks: AckWaits
  readonly passes: Passes
  readonly application: CurrentApplication
  readonly failedReads: FailedReads
  readonly leaderSide: LeaderSide
  readonly replicaSide: ReplicaSide
  readonly intake: Intake
  readonly #needs: TrafficParts
  readonly #proxies: TrustedProxies
  readonly #hidden: HiddenErrors
  readonly #parts: RequestParts
  readonly #remote: RemoteLeader
  readonly #proxy: ProxyServer | undefined

  constructor(needs: TrafficParts) {
    this.#needs = needs
    const { options, bounds, log, clock, onCut } = needs
    const bodyOf = (error: WalcastError) => this.bodyOf(error)
    this.#proxies = new TrustedProxies(options.trustedProxies)
    this.#hidden = new HiddenErrors(log, clock)
    this.crowd = new Crowd({ ...options, ...bounds }, this.#proxies, { onCut, bodyOf })
    const onRefused = (error: WalcastError) => this.#hidden.tell(error)
    const { view, waits } = onlyDatabase(needs.databases)
    this.view = view
    const parts = new RequestParts(
      { ...needs, view, waits },
      { proxies: this.#proxies, bodyOf, onRefused },
    )
    this.#parts = parts
    this.#remote = parts.remote
    this.routes = parts.routes
    this.bodies = parts.bodies
    this.cookie = parts.cookie
    this.consistency = parts.consistency
    this.answers = parts.answers
    this.admission = parts.admission
    this.acks = parts.acks
    this.passes = parts.passes
    this.application = parts.application
    this.failedReads = parts.failedReads
    this.leaderSide = parts.leaderSide
    this.replicaSide = parts.replicaSide
    this.intake = parts.intake
    if (options.upstream) this.attach(options.upstream)
    if (options.proxy) this.#proxy = this.#newProxy(options.proxy)
  }

  get watch(): ApplicationWatch {
    return this.application.watch
  }

  /** Requests that wait for the leader, or until this node has started. */
  get held(): number {
    return this.#remote.gate.held + this.admission.held + (this.#proxy?.held ?? 0)
  }

  /** Requests of clients under way at the proxy. */
  get proxied(): number {
    return this.#proxy?.underWay ?? 0
  }

  /** Who sent a request to this node or its application. */
  readonly originOf = (request: IncomingMessage): Origin => this.#proxies.originOf(request)

  get upstream(): string | undefined {
    return this.application.url
  }

  /** Where clients find this node's application, as far as it is known. */
  get publicUrl(): string | undefined {
    const { options } = this.#needs
    const { publicUrl, proxy } = options
    return publicUrl ?? (proxy ? `http://${reachableAddress(proxy, options)}` : this.upstream)
  }

  /** Where clients find the leader's application; undefined until the leader has told. */
  get primaryUrl(): string | undefined {
    const { options } = this.#needs
    // The leader's private side serves no clients.
    const { publicUrl, address = ownAddress(options) } = this.#remote
    return publicUrl ?? (options.verboseErrors ? `http://${address}` : undefined)
  }

  /** HOST:PORT of the leader's private side; undefined on the leader, and while none is known. */
  get leaderAddress(): string | undefined {
    return this.#remote.address
  }

  /** Whether the leader's application accepts requests. */
  async leaderApplication(): Promise<LeaderApplication> {
    const { leaderAddress } = this
    if (leaderAddress === undefined) return 'unknown'
    return applicationOf(this.#needs.calls, leaderAddress)
  }

  get standbyPaths(): readonly string[] {
    return this.#needs.options.standbyPaths
  }

  onFailure(error: WalcastError): void {
    this.#needs.log.error({ error: error.line }, 'a request failed')
  }

  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition(epoch: number): Promise<void> {
    return this.#needs.leadership.laterEpochSeen(epoch)
  }

  /** The application listens at `url`. */
  attach(url: string): void {
    this.intake.resume()
    this.application.attach(url)
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    await this.#proxy?.listen()
  }

  /** The engine runs: requests are served from now on. */
  open(): void {
    this.#proxy?.open()
    this.watch.begin()
  }

  /**
   * The leader, or a relay that follows the one at `leaderAddress`, welcomed this node.
   * `incarnation` of the leader: '' when it did not tell.
   */
  onLeaderThere(leaderAddress: string, incarnation: string, node: string): void {
    this.#remote.onThere(leaderAddress, incarnation, node)
  }

  /** `offsetMs`: the leader's clock minus this node's, until this node leads. */
  useLeaderClock(offsetMs: () => number): void {
    this.#remote.useClock(offsetMs)
  }

  /** This node leads from now on: what was held for another leader is executed here. */
  onLeading(): void {
    this.#remote.onLeading()
    this.admission.release('change')
    this.watch.reconsider()
  }

  /**
   * This node is no longer the leader, and follows the one at `leader` if it is known. What was
   * held here goes there.
   */
  onFollowing(leader: string | undefined): void {
    this.#remote.onFollowing(leader)
    this.admission.clear()
    this.watch.reconsider()
  }

  /** The connection to the leader ended: it may be away, which a probe will tell. */
  onLeaderLost(): void {
    this.#remote.onLost()
  }

  /** The leader takes no more requests. */
  onLeaderStopping(): void {
    this.#remote.onStopping()
  }

  /**
   * The application is about to stop. Another one may take its place; only `upstream` says where.
   */
  async detach(): Promise<void> {
    const { drainMs, upstream } = this.#needs.options
    await this.intake.pause(drainMs * DRAIN_SHARE)
    if (upstream !== undefined) return
    this.application.detach()
  }

  /** Lets requests under way end, those of clients and those of other nodes, within `--drain`. */
  async drain(): Promise<void> {
    const timeoutMs = this.#needs.options.drainMs * DRAIN_SHARE
    // The application ended before its node: requests would wait for it in vain.
    if (this.watch.isSuspended) this.watch.stop()
    const ended = Promise.all([this.#proxy?.close(timeoutMs), this.intake.drain(timeoutMs)])
    await drainWithin(timeoutMs, ended, [this.#remote.gate, this.admission, this.watch])
  }

  async close(): Promise<void> {
    this.admission.stop()
    await Promise.all([
      this.#proxy?.close(0),
      this.#remote.forwarder.close(),
      this.#parts.lender.close(),
      this.application.close(),
    ])
  }

  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody {
    return publicBody(error, this.#needs.options.verboseErrors)
  }

  asTold(error: unknown): unknown {
    return asTold(error, this.#needs.options.verboseErrors)
  }

  #newProxy(address: string): ProxyServer {
    const { options, metrics, nodeFile, leadership } = this.#needs
    return new ProxyServer({
      ...addressOf(address),
      routes: this.routes,
      node: () => nodeFile.record.node,
      view: this.view,
      leaderSide: this.leaderSide,
      replicaSide: this.replicaSide,
      admission: this.admission,
      application: this.application,
      remote: this.#remote,
      detour: this.#parts.detour,
      consistency: this.consistency,
      leadership,
      standbyPaths: options.standbyPaths,
      limits: options,
      crowd: this.crowd,
      primaryUrl: () => this.primaryUrl,
      onRequest: (route) => metrics.onProxied(route),
      bodyOf: (error) => this.bodyOf(error),
      onRefused: (error) => {
        metrics.onProxyRefused(error.key)
        this.#hidden.tell(error)
      },
      onFailure: (error) => this.onFailure(error),
    })
  }
}
