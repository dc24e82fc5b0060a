/** A replica as people and programs are told of it. */
import type { ReplicaSession } from './replicaSession.ts'

export interface ReplicaStatus {
  readonly node: string
  readonly address: string
  /** Its position, or its last one while it is away. Both are null until it has told a position. */
  readonly epoch: number | null
  readonly txid: number | null
  readonly lagMs: number
  readonly connected: boolean
  /**
   * ISO time of its last message. Before its first message here: since when this node expects it.
   */
  readonly lastSeen: string
  readonly state: string
  /** The replica that feeds it, when this node itself does not. */
  readonly via?: string
}

/** What is remembered of a replica while it is away. */
export type Peer = Omit<ReplicaStatus, 'connected' | 'state'>

const QUIET_MS = 2000

/** A connected replica acknowledges every heartbeat: silence beyond that counts as lag. */
export function statusOf(session: ReplicaSession, nowMs: number): ReplicaStatus {
  const silentMs = nowMs - session.lastSeenMs
  return {
    node: session.node,
    address: session.advertise || session.remoteAddress,
    epoch: session.epoch,
    txid: session.txid,
    lagMs: session.lagMs + (silentMs > QUIET_MS ? silentMs : 0),
    connected: true,
    lastSeen: new Date(session.lastSeenMs).toISOString(),
    state: session.state,
  }
}

/** With the lag of the replica's last message: what the clock adds since is not remembered. */
export function peerOf(status: ReplicaStatus, nowMs: number): Peer {
  const { connected, state: _state, lagMs, ...rest } = status
  const sinceMs = connected ? 0 : nowMs - Date.parse(status.lastSeen)
  return { ...rest, lagMs: Math.max(0, Math.round(lagMs - sinceMs)) }
}
