/**
 * The leader, while it is another node: where it is, whether it takes requests, and how they get
 * there. Requests wait at its gate while it is away; they go out signed for the epoch that it was
 * last heard of in.
 */
import type { DatabaseView } from '../api/databaseView.ts'
import type { PositionWaits } from '../api/positionWaits.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Member } from '../cluster/nodeRecord.ts'
import type { OldNodes } from '../cluster/oldNodes.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import type { PeerDialer } from '../cluster/peerDialer.ts'
import type { WalcastError } from '../errors.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import type { Clock } from '../platform/clock.ts'
import type { Claims } from '../security/claims.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import { ANYONE, STREAMED, signRequest } from '../security/requestSignature.ts'
import type { ErrorBody } from './answer.ts'
import { Forwarder } from './forwarder.ts'
import { Gate } from './gate.ts'
import type { FlatHeaders } from './headers.ts'
import { KnownLeader, type SignForward } from './knownLeader.ts'
import type { Bounds } from './openFiles.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { TrafficMetrics } from './trafficMetrics.ts'
import type { UpgradeTarget } from './upgradeRelay.ts'
import type { WireDial } from './wire.ts'

const CONNECT_TIMEOUT_MS = 2000

export interface RemoteLeaderParts {
  readonly options: NodeOptions
  readonly bounds: Pick<Bounds, 'maxRequests'>
  readonly secrets: ClusterSecrets
  readonly calls: PeerCalls
  readonly dialer: PeerDialer
  /** Undefined without --old-signatures. */
  readonly old?: OldNodes | undefined
  readonly clock: Clock
  readonly nodeFile: NodeFile
  readonly view: DatabaseView
  readonly waits: PositionWaits
  readonly claims: Claims
  readonly cookie: PositionCookie
  readonly metrics: TrafficMetrics
  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
}

export class RemoteLeader {
  /** Where requests wait while it does not take any. */
  readonly gate: Gate
  readonly forwarder: Forwarder
  readonly #parts: RemoteLeaderParts
  readonly #known: KnownLeader
  readonly #sign: SignForward = (method, path, headers) =>
    this.sign(method, path, headers, { node: this.#known.node, address: this.#known.address ?? '' })
  readonly #dial: ((address: string) => WireDial) | undefined
  #offsetMs: () => number = () => 0

  constructor(parts: RemoteLeaderParts) {
    this.#parts = parts
    const { options, dialer, bodyOf, claims } = parts
    this.#dial = dialer.isOpen ? undefined : (address) => dialer.dial(address, CONNECT_TIMEOUT_MS)
    this.#known = new KnownLeader(options.leader, {
      calls: parts.calls,
      sign: this.#sign,
      dial: this.#dial,
      bodyOf,
      believes: (epoch) => claims.refuse({ epoch }) === undefined,
    })
    this.gate = new Gate({ maxHeld: options.maxHeld }, () => this.#known.probe())
    this.forwarder = this.#newForwarder()
    // Until it is known in which epoch it is, which a probe or its welcome tells.
    if (options.leader) this.gate.close('it has not been heard of yet')
  }

  /** HOST:PORT of its private side; undefined on the leader, and while none is known. */
  get address(): string | undefined {
    return this.#known.address
  }

  /** In which it leads, as it last told; '' until it has. */
  get incarnation(): string {
    return this.#known.incarnation
  }

  /** Where clients find its application; undefined until it has told. */
  get publicUrl(): string | undefined {
    return this.#known.publicUrl
  }

  /** The signature of a request that is sent to the node `to` now. */
  sign(method: string, path: string, headers: FlatHeaders, to: Member): string {
    const { secrets, nodeFile, clock, old } = this.#parts
    const { node, epoch: ownEpoch } = nodeFile.record
    const epoch = Math.max(ownEpoch, this.#known.epoch)
    const claim = { method, path, epoch, nowMs: clock.nowMs() + this.#offsetMs() }
    if (old?.isOldAt(to.address)) return old.sign({ ...claim, node })
    return signRequest(secrets, {
      ...claim,
      purpose: 'forward',
      from: node,
      to: secrets.isOpen || to.node === '' ? ANYONE : to.node,
      body: STREAMED,
      headers,
    })
  }

  /** An upgrade that goes to it; undefined while none is known. See `KnownLeader.upgrade`. */
  upgrade(path: string, headers: FlatHeaders, endMs: number): UpgradeTarget | undefined {
    return this.#known.upgrade(path, headers, endMs)
  }

  /** `offsetMs`: the leader's clock minus this node's, until this node leads. */
  useClock(offsetMs: () => number): void {
    this.#offsetMs = offsetMs
  }

  /**
   * It is there, at `address`: this node leads, or was welcomed. `incarnation`: '' when it did not
   * tell.
   */
  onThere(address: string, incarnation: string, node: string): void {
    this.#known.set(address, incarnation, node)
    this.forwarder.pointTo(address)
    const { old } = this.#parts
    // A request that waits has it asked, which tells how to sign.
    if (old && old.isOldAt(address) === undefined) this.gate.close('it has not been asked yet')
    else this.gate.open()
    void this.#known.probe()
  }

  /** This node leads from now on. */
  onLeading(): void {
    this.#known.set(undefined)
    this.#offsetMs = () => 0
    this.gate.open()
  }

  /** This node is no longer the leader, and follows the one at `address` if it is known. */
  onFollowing(address: string | undefined): void {
    this.#known.set(address)
    this.forwarder.pointTo(address ?? '')
    this.gate.close(address ? 'it has just come to lead' : 'no leader is known')
  }

  /** The connection to it ended: it may be away, which a probe will tell. */
  onLost(): void {
    this.gate.close('this node is not connected to it')
  }

  /** It takes no more requests. */
  onStopping(): void {
    this.gate.close('it is stopping')
    this.forwarder.retire()
  }

  #newForwarder(): Forwarder {
    const { options, bounds, view, waits, cookie, claims, metrics } = this.#parts
    const { leader = '', holdMs, writeWaitMs, answerTimeoutMs } = options
    return new Forwarder(
      { leader, holdMs, writeWaitMs, maxConnections: bounds.maxRequests, answerTimeoutMs },
      {
        isLeading: () => view.role() === 'leader',
        gate: this.gate,
        waits,
        cookie,
        claims,
        leaderIncarnation: () => this.#known.incarnation,
        sign: this.#sign,
        dial: this.#dial,
        onForwarded: () => metrics.onForwarded(),
        onHeld: () => metrics.onHeld(),
        onUnknown: () => metrics.onUnknown(),
        onApplied: (waitMs) => metrics.onApplied(waitMs),
      },
    )
  }
}
