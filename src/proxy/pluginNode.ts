/**
 * What the Fastify plugin needs of a node. `openLeader`, `openReplica` and `openNode` of `walcast`
 * make such nodes.
 */
import type { IncomingMessage } from 'node:http'
import type { Position } from '../../proto/position.ts'
import type { DatabaseView } from '../api/databaseView.ts'
import type { NodeRole } from '../api/roleAnswers.ts'
import type { WalcastError } from '../errors.ts'
import type { AckWaits } from './ackWaits.ts'
import type { ErrorBody } from './answer.ts'
import type { Origin } from './clientAddress.ts'
import type { Consistency } from './consistency.ts'
import type { LeaderSide } from './leaderSide.ts'
import type { Passes } from './passes.ts'
import type { PositionCookie } from './positionCookie.ts'
import type { Bodies } from './replayableBody.ts'
import type { ReplicaSide } from './replicaSide.ts'
import type { Routes } from './routes.ts'
import type { WriteGate } from './writeGate.ts'

/** The parts of a node that its requests go through. */
export interface NodeTraffic {
  readonly view: DatabaseView
  readonly bodies: Bodies
  readonly consistency: Consistency
  readonly cookie: PositionCookie
  readonly leaderSide: LeaderSide
  readonly acks: AckWaits
  readonly replicaSide: ReplicaSide
  readonly admission: WriteGate
  /** A client has seen an epoch after this leader's. Resolves when it is known who leads. */
  onLaterPosition(epoch: number): Promise<void>
  readonly routes: Routes
  /** Marks of requests that this node passes to the application. */
  readonly passes: Passes
  /** Path prefixes that a standby serves all the same. */
  readonly standbyPaths: readonly string[]
  /** Where clients find the leader's application. */
  readonly primaryUrl: string | undefined
  /** URL of this node's application; undefined until it is known. */
  readonly upstream: string | undefined
  /** The application listens at `url`: forwarded requests go there. */
  attach(url: string): void
  /**
   * The application is about to stop. Takes no more forwarded requests, and resolves when those
   * under way are answered.
   */
  detach(): Promise<void>
  /** Who sent a request to this node or its application. */
  readonly originOf: (request: IncomingMessage) => Origin
  onFailure(error: WalcastError): void
  /** What clients may be told of an error. */
  bodyOf(error: WalcastError): ErrorBody
  asTold(error: unknown): unknown
}

/** The key of a node's traffic: for the plugin, not for applications. */
export const TRAFFIC: unique symbol = Symbol.for('walcast.traffic')

export interface PluginNode {
  readonly [TRAFFIC]: NodeTraffic
  readonly role: NodeRole
  /** Where this node stands. */
  readonly position: Position
  /**
   * Resolves once a position (`EPOCH-TXID` as text) is applied here. Throws WAIT_TIMEOUT,
   * POSITION_UNKNOWN or TOO_MANY_WAITS.
   */
  waitFor(position: Position | string, options?: { readonly timeoutMs?: number }): Promise<void>
  /**
   * Resolves once as many replicas hold `position` as `level` says (`one` unless told otherwise),
   * with how many do. Without a position: all that was committed here by now. Throws
   * NOT_REPLICATED, NOT_LEADER, STARTING or BAD_REQUEST.
   */
  acknowledged(
    position?: Position | string,
    options?: { readonly level?: string; readonly timeoutMs?: number },
  ): Promise<number>
  on(event: 'role', listener: (role: NodeRole) => void): unknown
  on(event: 'position', listener: (position: Position) => void): unknown
  off(event: 'role', listener: (role: NodeRole) => void): unknown
  off(event: 'position', listener: (position: Position) => void): unknown
  /** Keeps a handle of better-sqlite3 `query_only` while this node does not lead. */
  adopt(handle: object): void
}
