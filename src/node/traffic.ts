/** The requests of a node's application: proxy, intake, forwarding, and what they share. */
import type { Logger } from 'pino'
import { request } from 'undici'
import { isIncarnation } from '../../proto/lineage.ts'
import type { Clock } from '../clock.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { WalcastError } from '../errors.ts'
import { AckWaits, requireAckLevel } from '../http/ackWaits.ts'
import { AnswerMemory } from '../http/answerMemory.ts'
import { Application } from '../http/application.ts'
import { type Authenticator, REPLICA_AUTH_HEADER, signRequest } from '../http/auth.ts'
import { Bodies } from '../http/bodies.ts'
import { Consistency } from '../http/consistency.ts'
import { Forwarder } from '../http/forwarder.ts'
import { Gate } from '../http/gate.ts'
import { type FlatHeaders, toNode } from '../http/headers.ts'
import { Intake } from '../http/intake.ts'
import { KeyedRequests } from '../http/keyedRequests.ts'
import { LeaderSide } from '../http/leaderSide.ts'
import type { TrafficMetrics } from '../http/metrics.ts'
import { Passes } from '../http/passes.ts'
import type { NodeTraffic } from '../http/pluginNode.ts'
import { PositionCookie } from '../http/positionCookie.ts'
import { PublicSide } from '../http/publicSide.ts'
import { RateBudget } from '../http/rateBudget.ts'
import { ReplicaSide } from '../http/replicaSide.ts'
import { Routes } from '../http/routes.ts'
import type { UpgradeTarget } from '../http/upgradeRelay.ts'
import type { NodeView } from '../http/view.ts'
import type { Waits } from '../http/waits.ts'
import { WriteAdmission } from '../http/writeAdmission.ts'
import { addressOf, ownAddress } from './address.ts'
import type { NodeOptions } from './options.ts'

export interface TrafficParts {
  readonly options: NodeOptions
  readonly secret: string | undefined
  readonly clock: Clock
  readonly log: Logger
  readonly nodeFile: NodeFile
  readonly auth: Authenticator
  readonly view: NodeView
  readonly waits: Waits
  readonly metrics: TrafficMetrics
}

/** Of the time that a stop may take, for requests under way; the rest is for the engine. */
const DRAIN_SHARE = 0.7
/** How long a forwarded request may be on its way. */
const TRANSIT_MS = 2000
const PROBE_MS = 100
const PROBE_TIMEOUT_MS = 1000

export class Traffic implements NodeTraffic {
  readonly #parts: TrafficParts
  readonly #proxy: PublicSide | undefined
  readonly #forwarder: Forwarder
  readonly #gate: Gate
  readonly admission: WriteAdmission
  readonly intake: Intake
  readonly bodies: Bodies
  readonly cookie: PositionCookie
  readonly consistency: Consistency
  readonly leaderSide: LeaderSide
  readonly acks: AckWaits
  readonly replicaSide: ReplicaSide
  readonly answers: AnswerMemory
  readonly routes: Routes
  readonly passes = new Passes()
  #application: Application | undefined
  /** HOST:PORT of the leader; not always the node that this one follows. */
  #leader: string | undefined
  /** Where clients find the leader, as it last told. */
  #primaryUrl: string | undefined
  /** The leader's epoch as it last told: it may have taken requests for a while when this node comes to follow it. */
  #leaderEpoch = 0
  /** In which the leader leads, as it last told; '' until it has. */
  #leaderIncarnation = ''
  /** The leader's clock minus this node's. */
  offsetMs: () => number = () => 0
  /** Looks whether this node can still be sure that it leads. Cheap: asked for each write. */
  checkLeading: () => void = () => {}
  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition: (epoch: number) => Promise<void> = async () => {}
  /** A node that has been in a higher epoch sent a request. */
  onHigherEpoch: (node: string, epoch: number) => void = () => {}

  constructor(parts: TrafficParts) {
    this.#parts = parts
    const { options, auth, clock, log, nodeFile, view, waits, metrics } = parts
    this.routes = new Routes(options)
    this.bodies = new Bodies(options.replayBodyBytes, options.keptBodiesBytes)
    this.cookie = new PositionCookie(options.cookieName, () => nodeFile.record.cluster, parts.secret)
    this.consistency = new Consistency(this.cookie, view, waits)
    const { maxAnswers, answersBytes: maxBytes, answersMs: keepMs } = options
    const { onAnswerPushedOut: onPushedOut } = metrics
    const limits = { maxAnswers, maxBytes, keepMs, transitMs: TRANSIT_MS, onPushedOut }
    this.answers = new AnswerMemory(limits, clock, view)
    this.#gate = new Gate({ maxHeld: options.maxHeld, probeMs: PROBE_MS }, () => this.#probe())
    const isLeading = () => view.role() === 'leader'
    this.admission = new WriteAdmission(
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
    this.leaderSide = new LeaderSide({
      application: () => this.#application,
      bodies: this.bodies,
      keyed: new KeyedRequests(this.answers, this.cookie, options.answerTimeoutMs),
      cookie: this.cookie,
      acks: this.acks,
      view,
      admission: this.admission,
      log,
      settleMs: options.writeWaitMs,
    })
    this.#leader = options.leader
    this.#forwarder = this.#newForwarder(options.leader ?? '')
    this.replicaSide = this.#newReplicaSide(this.#forwarder)
    this.intake = new Intake({
      auth,
      view,
      side: this.leaderSide,
      admission: this.admission,
      epoch: () => nodeFile.record.epoch,
      onHigherEpoch: (node, epoch) => this.onHigherEpoch(node, epoch),
      maxRequests: options.maxRequests,
      address: ownAddress(options),
      leader: () => this.#leader,
      onRequest: (refused) => metrics.onIntake(refused),
      onFailure: (error) => log.error({ error: error.line }, 'a forwarded request failed'),
    })
    // Until it is known in which epoch it is, which a probe or its welcome tells.
    if (options.leader) this.#gate.close('it has not been heard of yet')
    if (options.upstream) this.attach(options.upstream)
    if (options.proxy) this.#proxy = this.#newProxy(options.proxy)
  }

  /** Requests that wait for the leader. */
  get held(): number {
    return this.#gate.held + this.admission.held
  }

  /** Requests of clients under way at the proxy. */
  get proxied(): number {
    return this.#proxy?.underWay ?? 0
  }

  get upstream(): string | undefined {
    return this.#application?.url
  }

  /** Where clients find this node's application, as far as it is known. */
  get publicUrl(): string | undefined {
    const { publicUrl, proxy } = this.#parts.options
    return publicUrl ?? (proxy ? `http://${proxy}` : this.upstream)
  }

  /** Where clients find the leader's application. */
  get primaryUrl(): string {
    return this.#primaryUrl ?? `http://${this.#leader ?? this.#parts.options.listen}`
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
    const { options, nodeFile } = this.#parts
    this.intake.resume()
    if (this.#application?.url === url) return
    void this.#application?.drain()
    this.#application = new Application({
      url,
      node: nodeFile.record.node,
      maxConnections: options.maxRequests,
      answerTimeoutMs: options.answerTimeoutMs,
      log: this.#parts.log,
      passes: this.passes,
    })
  }

  /** Throws PORT_TAKEN or LISTEN_FAILED. */
  async listen(): Promise<void> {
    await this.#proxy?.listen()
  }

  /** The engine runs: requests are served from now on. */
  open(): void {
    this.#proxy?.open()
  }

  /** The leader, or a replica that follows the one at `leaderAddress`, welcomed this node. `incarnation` of the leader: '' when it did not tell. */
  onLeaderThere(leaderAddress: string, incarnation: string): void {
    this.#setLeader(leaderAddress)
    if (incarnation !== '') this.#leaderIncarnation = incarnation
    this.#forwarder.pointTo(leaderAddress)
    this.#gate.open()
    void this.#probe()
  }

  /** This node leads from now on: what was held for another leader is executed here. */
  onLeading(): void {
    this.#setLeader(undefined)
    this.admission.release('change')
    this.#gate.open()
  }

  /** This node leads no more, and follows the one at `leader` if it is known. What was held here goes there. */
  onFollowing(leader: string | undefined): void {
    this.#setLeader(leader)
    this.#forwarder.pointTo(leader ?? '')
    this.#gate.close(leader ? 'it has just come to lead' : 'none is known')
    this.admission.clear()
  }

  /** The connection to the leader ended: it may be away, which a probe will tell. */
  onLeaderLost(): void {
    this.#gate.close('the connection to it ended')
  }

  /** The leader takes no more requests. */
  onLeaderStopping(): void {
    this.#gate.close('it is stopping')
    this.#forwarder.retire()
  }

  /** The application is about to stop. Another one may come in its place, elsewhere unless `upstream` says where. */
  async detach(): Promise<void> {
    const { drainMs, upstream } = this.#parts.options
    await this.intake.pause(drainMs * DRAIN_SHARE)
    if (upstream !== undefined) return
    void this.#application?.drain()
    this.#application = undefined
  }

  /** Lets requests under way end, those of clients and those of other nodes. Bounded by `--drain`. */
  async drain(): Promise<void> {
    const timeoutMs = this.#parts.options.drainMs * DRAIN_SHARE
    await Promise.all([this.#proxy?.close(timeoutMs), this.intake.drain(timeoutMs)])
  }

  async close(): Promise<void> {
    const application = this.#application
    this.#application = undefined
    this.admission.stop()
    await Promise.all([this.#proxy?.close(0), this.#forwarder.close(), application?.close()])
  }

  #newForwarder(leader: string): Forwarder {
    const { options, waits, metrics } = this.#parts
    return new Forwarder(
      {
        leader,
        holdMs: options.holdMs,
        writeWaitMs: options.writeWaitMs,
        maxConnections: options.maxRequests,
        answerTimeoutMs: options.answerTimeoutMs,
      },
      {
        isLeading: () => this.view.role() === 'leader',
        gate: this.#gate,
        waits,
        cookie: this.cookie,
        leaderIncarnation: () => this.#leaderIncarnation,
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
      application: () => this.#application,
      forwarder,
      consistency: this.consistency,
      cookie: this.cookie,
      bodies: this.bodies,
      gate: this.#gate,
      view,
      onStale: options.onStale,
      readWaitMs: options.readWaitMs,
      holdMs: options.holdMs,
      staleForwards: new RateBudget(options.staleForwards),
      onStaleRead: (did) => metrics.onStaleRead(did),
    })
  }

  #newProxy(address: string): PublicSide {
    const { options, view, metrics } = this.#parts
    return new PublicSide({
      ...addressOf(address),
      routes: this.routes,
      view,
      leaderSide: this.leaderSide,
      replicaSide: this.replicaSide,
      admission: this.admission,
      consistency: this.consistency,
      onLaterPosition: (epoch) => this.onLaterPosition(epoch),
      standbyPaths: options.standbyPaths,
      maxRequests: options.maxRequests,
      requestTimeoutMs: options.requestTimeoutMs,
      upstream: () => this.upstream,
      primaryUrl: () => this.primaryUrl,
      leaderUpgrade: (path, headers) => this.#leaderUpgrade(path, headers),
      gate: this.#gate,
      holdMs: options.holdMs,
      leaderAway: () => this.#forwarder.leaderAway(),
      onRequest: (route) => metrics.onProxied(route),
      onRefused: (error) => metrics.onProxyRefused(error.key),
      onFailure: (error) => this.onFailure(error),
    })
  }

  #setLeader(leader: string | undefined): void {
    if (leader === this.#leader) return
    this.#leader = leader
    this.#leaderEpoch = 0
    this.#leaderIncarnation = ''
    this.#primaryUrl = undefined
  }

  #leaderUpgrade(path: string, headers: FlatHeaders): UpgradeTarget | undefined {
    const leader = this.#leader
    if (!leader) return undefined
    const meant = toNode(headers, leader, this.#leaderIncarnation)
    const signed = [...meant, REPLICA_AUTH_HEADER, this.#sign('GET', path)]
    return { origin: `http://${leader}`, path, headers: signed, isNode: true }
  }

  #sign(method: string, path: string): string {
    const { secret, nodeFile, clock } = this.#parts
    const { node } = nodeFile.record
    const epoch = Math.max(nodeFile.record.epoch, this.#leaderEpoch)
    return signRequest(secret ?? '', { method, path, node, epoch, nowMs: clock.nowMs() + this.offsetMs() })
  }

  /** Whether the leader takes requests now. Learns its epoch and incarnation, and where clients find it. */
  async #probe(): Promise<boolean> {
    const leader = this.#leader
    if (!leader) return false
    try {
      const { statusCode, body } = await request(`http://${leader}/leader`, {
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        reset: true,
      })
      const { publicUrl, ready, epoch, incarnation } = Object(await body.json())
      if (leader !== this.#leader) return false
      if (Number.isSafeInteger(epoch)) this.#leaderEpoch = epoch
      if (isIncarnation(String(incarnation))) this.#leaderIncarnation = String(incarnation)
      if (typeof publicUrl === 'string') this.#primaryUrl = publicUrl
      return statusCode === 200 && ready === true
    } catch {
      // Not there: that is the answer.
      return false
    }
  }
}
