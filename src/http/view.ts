/** What the HTTP side needs to know of a node, whatever its role. */
import type { WebSocket } from 'ws'
import type { Position } from '../../proto/position.ts'
import type { WalcastError } from '../errors.ts'
import type { ReplicaStatus } from '../leader/replicaList.ts'
import type { LagTracker } from '../replica/lag.ts'
import type { Reach } from './waits.ts'

export type LagReport = { readonly role: string } & ReturnType<LagTracker['report']>

export interface NodeStatus {
  readonly node: string
  readonly cluster: string
  readonly db: string
  readonly role: 'leader' | 'replica' | 'standby'
  readonly state: string
  readonly epoch: number
  readonly txid: number
  readonly checksum: string
  readonly pageSize: number
  readonly pages: number
  readonly walBytes: number
  /** Id or address of the leader. */
  readonly leader: string
  readonly replicas: readonly ReplicaStatus[]
  readonly lag: { readonly lagMs: number; readonly txidLag: number; readonly connected: boolean }
  /** Progress of a copy or comparison in pages, while one runs. */
  readonly sync?: { readonly remaining: number; readonly total: number }
  readonly lastError?: { readonly code: string; readonly message: string }
  readonly version: string
  readonly uptimeSeconds: number
}

export interface NodeView {
  status(): NodeStatus
  lag(): LagReport
  /** Why this node cannot serve; empty when it can. */
  notReady(): readonly string[]
  reach(target: Position): Reach
  /** Why replicas cannot be fed by this node now, or undefined when they can. */
  refuseReplicas(): WalcastError | undefined
  /** Takes over a replica's upgraded connection. */
  accept(socket: WebSocket, remoteAddress: string): void
}
