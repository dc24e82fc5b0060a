/**
 * Puts together what answers the requests of a node's application: the leader's side, the replica's
 * side, the intake of forwarded requests, and what they share. All of them exist in every role,
 * since the role may change while requests wait.
 */
import type { Logger } from 'pino'
import type { DatabaseView } from '../api/databaseView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { OldNodes } from '../cluster/oldNodes.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import type { PeerDialer } from '../cluster/peerDialer.ts'
import type { WalcastError } from '../errors.ts'
import { requireAckLevel } from '../feed/ackLevel.ts'
import { ownAddress } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { Clock } from '../platform/clock.ts'
import { monotonicMs } from '../platform/time.ts'
import type { Authenticator } from '../security/auth.ts'
import type { Claims } from '../security/claims.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import { AckWaits } from './ackWaits.ts'
import type { ErrorBody } from './answer.ts'
import type { TrustedProxies } from './clientAddress.ts'
import { Consistency } from './consistency.ts'
import { CurrentApplication } from './currentApplication.ts'
import { Detour } from './detour.ts'
import { FailedReads } from './failedReads.ts'
import { IdempotencyStore } from './idempotencyStore.ts'
import { IdempotentRequests } from './idempotentRequests.ts'
import { Intake } from './intake.ts'
import { LeaderSide } from './leaderSide.ts'
import type { Leadership } from './leadership.ts'
import { Lender, type Lending } from './lender.ts'
import { LentReads } from './lentReads.ts'
import type { Bounds } from './openFiles.ts'
import { Passes } from './passes.ts'
import { PositionCookie } from './positionCookie.ts'
import { RateBudget } from './rateBudget.ts'
import { RemoteLeader } from './remoteLeader.ts'
import { Bodies } from './replayableBody.ts'
import { ReplicaSide } from './replicaSide.ts'
import { Routes } from './routes.ts'
import type { TrafficMetrics } from './trafficMetrics.ts'
import { WriteGate } from './writeGate.ts'

export interface RequestPartsNeeds {
  readonly options: NodeOptions
  /** What of the options' bounds this process can keep. */
  readonly bounds: Bounds
  readonly secrets: ClusterSecrets
  readonly dialer: PeerDialer
  readonly old?: OldNodes | undefined
  readonly calls: PeerCalls
  readonly clock: Clock
  readonly log: Logger
  readonly nodeFile: NodeFile
  readonly auth: Authenticator
  /** Judges the epochs that other nodes tell. */
  readonly claims: Claims
  readonly view: DatabaseView
  readonly waits: PositionWaits
  readonly leadership: Leadership
  /** HOST:PORT of replicas that may answer a read in place of this leader. */
  readonly lenders: () => readonly Lending[]
  readonly metrics: TrafficMetrics
}

export interface RequestPartsHost {
  readonly proxies: TrustedProxies
  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  /** A forwarded request was answered with an error. */
  onRefused(error: WalcastError): void
}

/** How long a forwarded request may be on its way. */
const TRANSIT_MS = 2000

export class RequestParts {
  readonly routes: Routes
  readonly bodies: Bodies
  readonly cookie: PositionCookie
  readonly consistency: Consistency
  readonly remote: RemoteLeader
  readonly answers: IdempotencyStore
  readonly admission: WriteGate
  readonly acks: AckWaits
  readonly passes = new Passes()
  readonly application: CurrentApplication
  readonly lender: Lender
  readonly detour: Detour
  readonly failedReads: FailedReads
  readonly leaderSide: LeaderSide
  readonly replicaSide: ReplicaSide
  readonly intake: Intake
  readonly #needs: RequestPartsNeeds

  constructor(needs: RequestPartsNeeds, host: RequestPartsHost) {
    this.#needs = needs
    const { options, bounds, secrets, log, nodeFile, view, waits, leadership, metrics } = needs
    this.routes = new Routes(options)
    this.bodies = new Bodies(options.replayBodyBytes, options.keptBodiesBytes)
    this.cookie = new PositionCookie(
      options.cookieName,
      () => nodeFile.record.cluster,
      secrets.current,
    )
    this.consistency = new Consistency(this.cookie, view, waits)
    this.remote = new RemoteLeader({ ...needs, cookie: this.cookie, bodyOf: host.bodyOf })
    this.answers = this.#newAnswers()
    this.admission = new WriteGate(
      { maxHeld: options.maxHeld, holdMs: options.holdMs, address: ownAddress(options) },
      { isLeading: () => view.role() === 'leader', check: () => leadership.checkAlive() },
    )
    this.acks = new AckWaits(
      { level: requireAckLevel(options.ack), timeoutMs: options.ackTimeoutMs },
      view,
      () => this.admission.isSure,
      metrics.onAckWait,
    )
    this.application = new CurrentApplication({
      options,
      bounds,
      log,
      passes: this.passes,
      node: () => nodeFile.record.node,
    })
    this.lender = this.#newLender()
    this.detour = this.#newDetour()
    this.failedReads = this.#newFailedReads()
    this.leaderSide = this.#newLeaderSide()
    this.replicaSide = this.#newReplicaSide()
    this.intake = this.#newIntake(host)
  }

  #newAnswers(): IdempotencyStore {
    const { options, clock, view, metrics } = this.#needs
    const { maxAnswers, answersBytes: maxBytes, answersMs: keepMs } = options
    const { onAnswerPushedOut: onPushedOut } = metrics
    const limits = { maxAnswers, maxBytes, keepMs, transitMs: TRANSIT_MS, onPushedOut }
    return new IdempotencyStore(limits, clock, view)
  }

  #newLender(): Lender {
    const { options, bounds, view, claims, lenders } = this.#needs
    return new Lender({
      view,
      claims,
      cookie: this.cookie,
      maxConnections: bounds.maxRequests,
      answerTimeoutMs: options.answerTimeoutMs,
      replicas: lenders,
      sign: (method, path, headers, to) => this.remote.sign(method, path, headers, to),
      dialer: this.#needs.dialer,
    })
  }

  #newDetour(): Detour {
    const { options, view } = this.#needs
    return new Detour({
      watch: this.application.watch,
      bodies: this.bodies,
      holdMs: options.holdMs,
      elsewhere: (client) =>
        view.role() === 'leader' ? this.lender.lend(client) : this.remote.forwarder.offer(client),
    })
  }

  #newFailedReads(): FailedReads {
    const { options, log, metrics } = this.#needs
    return new FailedReads(
      { statuses: options.replayOn, maxPerSecond: options.replayRate },
      {
        routes: this.routes,
        log,
        onFailedRead: (outcome) => metrics.onFailedRead(outcome),
        nowMs: () => monotonicMs(),
      },
    )
  }

  #newLeaderSide(): LeaderSide {
    const { options, view, log } = this.#needs
    return new LeaderSide({
      application: () => this.application.now,
      watch: this.application.watch,
      bodies: this.bodies,
      keyed: new IdempotentRequests(this.answers, this.cookie, options.answerTimeoutMs),
      cookie: this.cookie,
      acks: this.acks,
      view,
      admission: this.admission,
      log,
      settleMs: options.writeWaitMs,
    })
  }

  #newReplicaSide(): ReplicaSide {
    const { options, view, metrics } = this.#needs
    return new ReplicaSide({
      application: () => this.application.now,
      watch: this.application.watch,
      forwarder: this.remote.forwarder,
      consistency: this.consistency,
      cookie: this.cookie,
      bodies: this.bodies,
      gate: this.remote.gate,
      view,
      failedReads: this.failedReads,
      onStale: options.onStale,
      readWaitMs: options.readWaitMs,
      holdMs: options.holdMs,
      staleForwards: new RateBudget(options.staleForwards),
      onStaleRead: (did) => metrics.onStaleRead(did),
    })
  }

  #newIntake({ proxies, bodyOf, onRefused }: RequestPartsHost): Intake {
    const { options, bounds, log, nodeFile, auth, claims, view, leadership, metrics } = this.#needs
    return new Intake({
      auth,
      claims,
      view,
      side: this.leaderSide,
      detour: this.detour,
      lentReads: this.#newLentReads(),
      admission: this.admission,
      onStopping: () => this.application.watch.reconsider(),
      epoch: () => nodeFile.record.epoch,
      onHigherEpoch: (node, epoch) => leadership.higherEpochHeard(node, epoch),
      maxRequests: bounds.maxRequests,
      maxNodeRequests: options.maxNodeRequests,
      proxies,
      bodyOf,
      onRefused,
      address: ownAddress(options),
      leader: () => this.remote.address,
      onRequest: (refused) => metrics.onIntake(refused),
      onFailure: (error) => log.error({ error: error.line }, 'a forwarded request failed'),
    })
  }

  #newLentReads(): LentReads {
    const { options, nodeFile, auth, claims, view, waits } = this.#needs
    return new LentReads({
      auth,
      claims,
      view,
      watch: this.application.watch,
      waits,
      address: ownAddress(options),
      readWaitMs: options.readWaitMs,
      application: () => this.application.now,
      epoch: () => nodeFile.record.epoch,
      leaderIncarnation: () => this.remote.incarnation,
    })
  }
}
