/** The requests of a node's application: proxy, intake, forwarding, and what they share. */
import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'
import type { NodeView } from '../api/nodeView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { WalcastError } from '../errors.ts'
import { requireAckLevel } from '../feed/ackLevel.ts'
import { addressOf, ownAddress, reachableAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { Clock } from '../platform/clock.ts'
import { monotonicMs } from '../platform/time.ts'
import { type Authenticator, signRequest } from '../security/auth.ts'
import { AckWaits } from './ackWaits.ts'
import type { ErrorBody } from './answer.ts'
import type { ApplicationWatch } from './applicationWatch.ts'
import { type Origin, TrustedProxies } from './clientAddress.ts'
import type { Cut } from './connectionBudget.ts'
import { Consistency } from './consistency.ts'
import { Crowd } from './crowd.ts'
import { CurrentApplication } from './currentApplication.ts'
import { Detour } from './detour.ts'
import { drainWithin } from './drainDeadline.ts'
import { FailedReads } from './failedReads.ts'
import { Forwarder } from './forwarder.ts'
import { Gate } from './gate.ts'
import { HiddenErrors } from './hiddenErrors.ts'
import { IdempotencyStore } from './idempotencyStore.ts'
import { IdempotentRequests } from './idempotentRequests.ts'
import { Intake } from './intake.ts'
import { KnownLeader } from './knownLeader.ts'
import { LeaderSide } from './leaderSide.ts'
import { Lender } from './lender.ts'
import { LentReads } from './lentReads.ts'
import type { Bounds } from './openFiles.ts'
import { Passes } from './passes.ts'
import type { NodeTraffic } from './pluginNode.ts'
import { PositionCookie } from './positionCookie.ts'
import { ProxyServer } from './proxyServer.ts'
import { asTold, publicBody } from './publicErrors.ts'
import { RateBudget } from './rateBudget.ts'
import { Bodies } from './replayableBody.ts'
import { ReplicaSide } from './replicaSide.ts'
import { Routes } from './routes.ts'
import type { TrafficMetrics } from './trafficMetrics.ts'
import { WriteGate } from './writeGate.ts'

export interface TrafficParts {
  readonly options: NodeOptions
  /** What of the options' bounds this process can keep. */
  readonly bounds: Bounds
  readonly secret: string | undefined
  readonly clock: Clock
  readonly log: Logger
  readonly nodeFile: NodeFile
  readonly auth: Authenticator
  readonly view: NodeView
  readonly waits: PositionWaits
  readonly metrics: TrafficMetrics
  /** A connection of a client ended before it wanted that. */
  readonly onCut: (why: Cut) => void
}

/** Of the time that a stop may take, for requests under way; the rest is for the engine. */
const DRAIN_SHARE = 0.7
/** How long a forwarded request may be on its way. */
const TRANSIT_MS = 2000

export class Traffic implements NodeTraffic {
  readonly #parts: TrafficParts
  readonly #proxy: ProxyServer | undefined
  readonly #forwarder: Forwarder
  readonly #lender: Lender
  readonly #gate: Gate
  readonly #proxies: TrustedProxies
  readonly crowd: Crowd
  readonly #hidden: HiddenErrors
  readonly admission: WriteGate
  readonly detour: Detour
  readonly intake: Intake
  readonly bodies: Bodies
  readonly cookie: PositionCookie
  readonly consistency: Consistency
  readonly leaderSide: LeaderSide
  readonly acks: AckWaits
  readonly replicaSide: ReplicaSide
  readonly answers: IdempotencyStore
  readonly routes: Routes
  readonly failedReads: FailedReads
  readonly application: CurrentApplication
  readonly #leader: KnownLeader
  readonly passes = new Passes()
  /** The leader's clock minus this node's. */
  offsetMs: () => number = () => 0
  /** Looks whether this node can still be sure that it leads. Cheap: asked for each write. */
  checkLeading: () => void = () => {}
  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition: (epoch: number) => Promise<void> = async () => {}
  /** HOST:PORT of replicas that may answer a read in place of this leader. */
  lenders: () => readonly string[] = () => []
  /** Somebody asked this node's private side for its role. */
  onRoleAsked: (remoteAddress: string) => void = () => {}
  /** A node that has been in a higher epoch sent a request. */
  onHigherEpoch: (node: string, epoch: number) => void = () => {}

  constructor(parts: TrafficParts) {
    this.#parts = parts
    const { options, auth, clock, log, nodeFile, view, waits, metrics } = parts
    this.routes = new Routes(options)
    this.#proxies = new TrustedProxies(options.trustedProxies)
    this.#hidden = new HiddenErrors(log, clock)
    this.crowd = new Crowd({ ...options, ...parts.bounds }, this.#proxies, {
      onCut: parts.onCut,
      bodyOf: (error) => this.bodyOf(error),
    })
    this.bodies = new Bodies(options.replayBodyBytes, options.keptBodiesBytes)
    this.cookie = new PositionCookie(
      options.cookieName,
      () => nodeFile.record.cluster,
      parts.secret,
    )
    this.consistency = new Consistency(this.cookie, view, waits)
    const { maxAnswers, answersBytes: maxBytes, answersMs: keepMs } = options
    const { onAnswerPushedOut: onPushedOut } = metrics
    const limits = { maxAnswers, maxBytes, keepMs, transitMs: TRANSIT_MS, onPushedOut }
    this.answers = new IdempotencyStore(limits, clock, view)
    this.#leader = new KnownLeader(options.leader, {
      sign: (method, path) => this.#sign(method, path),
      bodyOf: (error) => this.bodyOf(error),
    })
    this.#gate = new Gate({ maxHeld: options.maxHeld }, () => this.#leader.probe())
    const isLeading = () => view.role() === 'leader'
    this.admission = new WriteGate(
      {
        maxHeld: options.maxHeld,
        holdMs: options.holdMs,
        address: ownAddress(options),
      },
      { isLeading, check: () => this.checkLeading() },
    )
    this.acks = new AckWaits(
      { level: requireAckLevel(options.ack), timeoutMs: options.ackTimeoutMs },
      view,
      () => this.admission.isSure,
      metrics.onAckWait,
    )
    this.application = new CurrentApplication({
      options,
      bounds: parts.bounds,
      log,
      passes: this.passes,
      node: () => nodeFile.record.node,
    })
    this.#lender = new Lender({
      view,
      cookie: this.cookie,
      maxConnections: parts.bounds.maxRequests,
      answerTimeoutMs: options.answerTimeoutMs,
      replicas: () => this.lenders(),
      sign: (method, path) => this.#sign(method, path),
    })
    this.detour = new Detour({
      watch: this.watch,
      bodies: this.bodies,
      holdMs: options.holdMs,
      elsewhere: (client) =>
        this.view.role() === 'leader' ? this.#lender.lend(client) : this.#forwarder.offer(client),
    })
    this.leaderSide = new LeaderSide({
      application: () => this.application.now,
      watch: this.watch,
      bodies: this.bodies,
      keyed: new IdempotentRequests(this.answers, this.cookie, options.answerTimeoutMs),
      cookie: this.cookie,
      acks: this.acks,
      view,
      admission: this.admission,
      log,
      settleMs: options.writeWaitMs,
    })
    this.failedReads = new FailedReads(
      { statuses: options.replayOn, maxPerSecond: options.replayRate },
      {
        routes: this.routes,
        log,
        onFailedRead: (outcome) => metrics.onFailedRead(outcome),
        nowMs: () => monotonicMs(),
      },
    )
    this.#forwarder = this.#newForwarder(options.leader ?? '')
    this.replicaSide = this.#newReplicaSide(this.#forwarder)
    this.intake = new Intake({
      auth,
      view,
      side: this.leaderSide,
      detour: this.detour,
      lentReads: new LentReads({
        auth,
        view,
        watch: this.watch,
        waits,
        address: ownAddress(options),
        readWaitMs: options.readWaitMs,
        application: () => this.application.now,
        epoch: () => nodeFile.record.epoch,
        leaderIncarnation: () => this.#leader.incarnation,
      }),
      admission: this.admission,
      onStopping: () => this.watch.reconsider(),
      epoch: () => nodeFile.record.epoch,
      onHigherEpoch: (node, epoch) => this.onHigherEpoch(node, epoch),
      maxRequests: parts.bounds.maxRequests,
      maxNodeRequests: options.maxNodeRequests,
      proxies: this.#proxies,
      bodyOf: (error) => this.bodyOf(error),
      onRefused: (error) => this.#hidden.tell(error),
      address: ownAddress(options),
      leader: () => this.#leader.address,
      onRequest: (refused) => metrics.onIntake(refused),
      onFailure: (error) => log.error({ error: error.line }, 'a forwarded request failed'),
    })
    // Until it is known in which epoch it is, which a probe or its welcome tells.
    if (options.leader) this.#gate.close('it has not been heard of yet')
    if (options.upstream) this.attach(options.upstream)
    if (options.proxy) this.#proxy = this.#newProxy(options.proxy)
  }

  get watch(): ApplicationWatch {
    return this.application.watch
  }

  /** Requests that wait for the leader, or until this node has started. */
  get held(): number {
    return this.#gate.held + this.admission.held + (this.#proxy?.held ?? 0)
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
    const { publicUrl, proxy } = this.#parts.options
    return (
      publicUrl ??
      (proxy ? `http://${reachableAddress(proxy, this.#parts.options)}` : this.upstream)
    )
  }

  /** Where clients find the leader's application; undefined until the leader has told. */
  get primaryUrl(): string | undefined {
    const { options } = this.#parts
    // The leader's private side serves no clients.
    const { publicUrl, address = ownAddress(options) } = this.#leader
    return publicUrl ?? (options.verboseErrors ? `http://${address}` : undefined)
  }

  /** HOST:PORT of the leader's private side; undefined on the leader, and while none is known. */
  get leaderAddress(): string | undefined {
    return this.#leader.address
  }

  get view(): NodeView {
    return this.#parts.view
  }

  get standbyPaths(): readonly string[] {
    return this.#parts.options.standbyPaths
  }

  onFailure(error: WalcastError): void {
    this.#parts.log.error({ error: error.line }, 'a request failed')
  }

  /** The application, when its address is known only now. */
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
   * The leader, or a replica that follows the one at `leaderAddress`, welcomed this node.
   * `incarnation` of the leader: '' when it did not tell.
   */
  onLeaderThere(leaderAddress: string, incarnation: string): void {
    this.#leader.set(leaderAddress, incarnation)
    this.#forwarder.pointTo(leaderAddress)
    this.#gate.open()
    void this.#leader.probe()
  }

  /** This node leads from now on: what was held for another leader is executed here. */
  onLeading(): void {
    this.#leader.set(undefined)
    this.offsetMs = () => 0
    this.admission.release('change')
    this.#gate.open()
    this.watch.reconsider()
  }

  /**
   * This node leads no more, and follows the one at `leader` if it is known. What was held here
   * goes there.
   */
  onFollowing(leader: string | undefined): void {
    this.#leader.set(leader)
    this.#forwarder.pointTo(leader ?? '')
    this.#gate.close(leader ? 'it has just come to lead' : 'none is known')
    this.admission.clear()
    this.watch.reconsider()
  }

  /** The connection to the leader ended: it may be away, which a probe will tell. */
  onLeaderLost(): void {
    this.#gate.close('this node is not connected to it')
  }

  /** The leader takes no more requests. */
  onLeaderStopping(): void {
    this.#gate.close('it is stopping')
    this.#forwarder.retire()
  }

  /**
   * The application is about to stop. Another one may come in its place, elsewhere unless
   * `upstream` says where.
   */
  async detach(): Promise<void> {
    const { drainMs, upstream } = this.#parts.options
    await this.intake.pause(drainMs * DRAIN_SHARE)
    if (upstream !== undefined) return
    this.application.detach()
  }

  /**
   * Lets requests under way end, those of clients and those of other nodes. Bounded by `--drain`.
   */
  async drain(): Promise<void> {
    const timeoutMs = this.#parts.options.drainMs * DRAIN_SHARE
    // It was ended before its node: what waits for it waits in vain.
    if (this.watch.isSuspended) this.watch.stop()
    const ended = Promise.all([this.#proxy?.close(timeoutMs), this.intake.drain(timeoutMs)])
    await drainWithin(timeoutMs, ended, [this.#gate, this.admission, this.watch])
  }

  async close(): Promise<void> {
    this.admission.stop()
    await Promise.all([
      this.#proxy?.close(0),
      this.#forwarder.close(),
      this.#lender.close(),
      this.application.close(),
    ])
  }

  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody {
    return publicBody(error, this.#parts.options.verboseErrors)
  }

  asTold(error: unknown): unknown {
    return asTold(error, this.#parts.options.verboseErrors)
  }

  #newForwarder(leader: string): Forwarder {
    const { options, bounds, waits, metrics } = this.#parts
    return new Forwarder(
      {
        leader,
        holdMs: options.holdMs,
        writeWaitMs: options.writeWaitMs,
        maxConnections: bounds.maxRequests,
        answerTimeoutMs: options.answerTimeoutMs,
      },
      {
        isLeading: () => this.view.role() === 'leader',
        gate: this.#gate,
        waits,
        cookie: this.cookie,
        leaderIncarnation: () => this.#leader.incarnation,
        sign: (method, path) => this.#sign(method, path),
        onForwarded: () => metrics.onForwarded(),
        onHeld: () => metrics.onHeld(),
        onUnknown: () => metrics.onUnknown(),
        onApplied: (waitMs) => metrics.onApplied(waitMs),
      },
    )
  }

  #newReplicaSide(forwarder: Forwarder): ReplicaSide {
    const { options, view, metrics } = this.#parts
    return new ReplicaSide({
      application: () => this.application.now,
      watch: this.watch,
      forwarder,
      consistency: this.consistency,
      cookie: this.cookie,
      bodies: this.bodies,
      gate: this.#gate,
      view,
      failedReads: this.failedReads,
      onStale: options.onStale,
      readWaitMs: options.readWaitMs,
      holdMs: options.holdMs,
      staleForwards: new RateBudget(options.staleForwards),
      onStaleRead: (did) => metrics.onStaleRead(did),
    })
  }

  #newProxy(address: string): ProxyServer {
    const { options, view, metrics } = this.#parts
    return new ProxyServer({
      ...addressOf(address),
      routes: this.routes,
      view,
      leaderSide: this.leaderSide,
      replicaSide: this.replicaSide,
      admission: this.admission,
      watch: this.watch,
      detour: this.detour,
      unwell: () => this.application.unwellForClients,
      consistency: this.consistency,
      onLaterPosition: (epoch) => this.onLaterPosition(epoch),
      standbyPaths: options.standbyPaths,
      limits: options,
      crowd: this.crowd,
      upstream: () => this.upstream,
      primaryUrl: () => this.primaryUrl,
      leaderUpgrade: (path, headers, endMs) => this.#leader.upgrade(path, headers, endMs),
      gate: this.#gate,
      leaderAway: () => this.#forwarder.leaderAway(),
      onRequest: (route) => metrics.onProxied(route),
      bodyOf: (error) => this.bodyOf(error),
      onRefused: (error) => {
        metrics.onProxyRefused(error.key)
        this.#hidden.tell(error)
      },
      onFailure: (error) => this.onFailure(error),
    })
  }

  #sign(method: string, path: string): string {
    const { secret, nodeFile, clock } = this.#parts
    const { node, epoch: ownEpoch } = nodeFile.record
    const epoch = Math.max(ownEpoch, this.#leader.epoch)
    return signRequest(secret ?? '', {
      method,
      path,
      node,
      epoch,
      nowMs: clock.nowMs() + this.offsetMs(),
    })
  }
}
